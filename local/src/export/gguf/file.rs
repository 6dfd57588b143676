//! Writes the GGUF format, version 3. candle's own writer needs all tensors in memory at once.

use candle_core::quantized::GgmlDType;

/// Tensors begin at multiples of this many bytes.
const ALIGNMENT: u64 = 32;

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Meta {
    /// A whole number.
    U32(u32),
    /// A number.
    F32(f32),
    /// A boolean.
    Bool(bool),
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A list of whole numbers.
    I32s(Vec<i32>),
    /// A list of numbers.
    F32s(Vec<f32>),
}

/// The name, shape and type of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// The tensor's name.
    pub name: String,
    /// Its shape, with the row width last.
    pub shape: Vec<usize>,
    /// The type of its values.
    pub dtype: GgmlDType,
}

impl TensorInfo {
    /// The size of its data, in bytes.
    pub fn bytes(&self) -> u64 {
        let values: usize = self.shape.iter().product();
        (values / self.dtype.block_size() * self.dtype.type_size()) as u64
    }
}

/// The padding after data of this size.
pub fn padding(bytes: u64) -> &'static [u8] {
    const ZEROS: [u8; 32] = [0; 32];
    let length = bytes.next_multiple_of(ALIGNMENT) - bytes;
    &ZEROS[..usize::try_from(length).unwrap_or_default()]
}

/// Everything before the data of the first tensor. The tensors follow in this order, each with its
/// padding.
pub fn header(metadata: &[(String, Meta)], tensors: &[TensorInfo]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    length(&mut bytes, tensors.len());
    length(&mut bytes, metadata.len());
    for (key, value) in metadata {
        text(&mut bytes, key);
        meta(&mut bytes, value);
    }
    let mut offset = 0_u64;
    for tensor in tensors {
        text(&mut bytes, &tensor.name);
        bytes.extend(
            u32::try_from(tensor.shape.len())
                .unwrap_or_default()
                .to_le_bytes(),
        );
        for size in tensor.shape.iter().rev() {
            length(&mut bytes, *size);
        }
        bytes.extend(type_id(tensor.dtype).to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset += tensor.bytes().next_multiple_of(ALIGNMENT);
    }
    bytes.extend(padding(bytes.len() as u64));
    bytes
}

fn meta(bytes: &mut Vec<u8>, value: &Meta) {
    let list = |bytes: &mut Vec<u8>, kind: u32, count: usize| {
        bytes.extend(9_u32.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        length(bytes, count);
    };
    match value {
        Meta::U32(number) => {
            bytes.extend(4_u32.to_le_bytes());
            bytes.extend(number.to_le_bytes());
        }
        Meta::F32(number) => {
            bytes.extend(6_u32.to_le_bytes());
            bytes.extend(number.to_le_bytes());
        }
        Meta::Bool(value) => {
            bytes.extend(7_u32.to_le_bytes());
            bytes.push(u8::from(*value));
        }
        Meta::Text(value) => {
            bytes.extend(8_u32.to_le_bytes());
            text(bytes, value);
        }
        Meta::Texts(values) => {
            list(bytes, 8, values.len());
            for value in values {
                text(bytes, value);
            }
        }
        Meta::I32s(values) => {
            list(bytes, 5, values.len());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Meta::F32s(values) => {
            list(bytes, 6, values.len());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    length(bytes, text.len());
    bytes.extend(text.as_bytes());
}

fn length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend((length as u64).to_le_bytes());
}

/// GGML's number for a type.
fn type_id(dtype: GgmlDType) -> u32 {
    match dtype {
        GgmlDType::F32 => 0,
        GgmlDType::F16 => 1,
        GgmlDType::Q4_0 => 2,
        GgmlDType::Q4_1 => 3,
        GgmlDType::Q5_0 => 6,
        GgmlDType::Q5_1 => 7,
        GgmlDType::Q8_0 => 8,
        GgmlDType::Q8_1 => 9,
        GgmlDType::Q2K => 10,
        GgmlDType::Q3K => 11,
        GgmlDType::Q4K => 12,
        GgmlDType::Q5K => 13,
        GgmlDType::Q6K => 14,
        GgmlDType::Q8K => 15,
        GgmlDType::BF16 => 30,
    }
}
