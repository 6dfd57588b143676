//! A safetensors file, read tensor by tensor. Its header is checked before memory is asked for.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, WithDType};
use half::bf16;
use serde::Deserialize;
use serde_json::Value;

use super::memory;
use crate::error::{Error, Result, refused};

/// The format's own limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// A file is read in pieces of this size. A multiple of every value's.
const READ_BYTES: usize = 1 << 20;

/// The supported types of values, and the bytes of one.
const TYPES: [(&str, DType, u64); 3] = [
    ("F32", DType::F32, 4),
    ("F16", DType::F16, 2),
    ("BF16", DType::BF16, 2),
];

/// Gets the bytes of a file, piece by piece.
pub type CopyTo<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// What the header says about a tensor.
#[derive(Debug, Clone, Deserialize)]
pub struct TensorInfo {
    /// The type of its values, as the format names it.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// An open safetensors file.
#[derive(Debug)]
pub struct Shard {
    /// `model` or `adapter`, for messages.
    what: &'static str,
    path: PathBuf,
    file: fs::File,
    /// Where the data begins.
    start: u64,
    /// Its tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
}

impl Shard {
    /// Reads the header. Refuses a file that isn't complete.
    pub fn open(path: &Path, what: &'static str) -> Result<Self> {
        let broken = |why: &dyn std::fmt::Display| {
            Error::Refused(format!("{what}: can't read {}: {why}", path.display()))
        };
        let io = |source: io::Error| broken(&source);
        if !fs::metadata(path).map_err(io)?.is_file() {
            return Err(broken(&"it isn't a file"));
        }
        let mut file = fs::File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut length = [0; 8];
        let no_header = || broken(&"it has no safetensors header");
        file.read_exact(&mut length).map_err(|_| no_header())?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER_BYTES || length + 8 > size {
            return Err(no_header());
        }
        let mut header = Vec::new();
        file.by_ref()
            .take(length)
            .read_to_end(&mut header)
            .map_err(io)?;
        let mut header: BTreeMap<String, Value> =
            serde_json::from_slice(&header).map_err(|error| broken(&error))?;
        header.remove("__metadata__");
        let mut tensors = BTreeMap::new();
        let start = length + 8;
        for (name, info) in header {
            let info: TensorInfo = serde_json::from_value(info)
                .map_err(|error| broken(&format_args!("the tensor {name}: {error}")))?;
            let (begin, end) = info.data_offsets;
            if begin > end || end > size - start {
                return Err(broken(&format_args!(
                    "it ends before the data of the tensor {name}"
                )));
            }
            tensors.insert(name, info);
        }
        let mut ranges: Vec<_> = tensors
            .iter()
            .map(|(name, info)| (info.data_offsets, name))
            .collect();
        ranges.sort_unstable();
        let mut at = 0;
        for ((begin, end), name) in ranges {
            if begin != at {
                return Err(broken(&format_args!(
                    "the data of the tensor {name} begins at {begin}, expected {at}"
                )));
            }
            at = end;
        }
        Ok(Self {
            what,
            path: path.to_owned(),
            file,
            start,
            tensors,
        })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of its tensors, in the order of their data.
    #[must_use]
    pub fn in_order(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.tensors.iter().collect();
        names.sort_by_key(|(name, info)| (info.data_offsets, *name));
        names.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Hands everything before the data to `to`: the header, with its length.
    pub fn copy_header(&self, to: CopyTo) -> Result<()> {
        self.copy(0, self.start, to)
    }

    /// Hands the data of a tensor to `to`, whatever its type.
    pub fn copy_tensor(&self, name: &str, to: CopyTo) -> Result<()> {
        match self.tensors.get(name) {
            Some(info) => {
                let (begin, end) = info.data_offsets;
                self.copy(self.start + begin, self.start + end, to)
            }
            None => self.refuse(&format!("it has no tensor {name}")),
        }
    }

    /// The type of a tensor's values. Refuses one that can't be read, a quantised one for example.
    pub fn dtype(&self, name: &str) -> Result<DType> {
        self.layout(name).map(|(_, dtype)| dtype)
    }

    /// A refusal that names the file.
    pub fn refuse<T>(&self, why: &str) -> Result<T> {
        refused(format!("{}: {}: {why}", self.what, self.path.display()))
    }

    /// Refuses more values than fit into memory.
    pub fn check_memory(shards: &[Self]) -> Result<()> {
        let values = |info: &TensorInfo| {
            let each = if info.dtype == "BF16" { 2 } else { 4 };
            info.shape.iter().fold(each, |bytes: u64, size| {
                bytes.saturating_mul(u64::try_from(*size).unwrap_or(u64::MAX))
            })
        };
        let tensors = shards.iter().flat_map(|shard| shard.tensors.values());
        let bytes = tensors.map(values).fold(0, u64::saturating_add);
        match shards.first() {
            Some(shard) => {
                memory::check(&format!("{}: {}", shard.what, shard.path.display()), bytes)
            }
            None => Ok(()),
        }
    }

    /// One tensor, as `f32`.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        self.read_as::<f32>(name)
    }

    /// One tensor as a model keeps it: in bf16 if that's its type, otherwise as `f32`.
    pub fn read_weight(&self, name: &str) -> Result<Tensor> {
        match self.dtype(name)? {
            DType::BF16 => self.read_as::<bf16>(name),
            _ => self.read_as::<f32>(name),
        }
    }

    fn read_as<T: WithDType>(&self, name: &str) -> Result<Tensor> {
        let (info, dtype) = self.layout(name)?;
        let (begin, end) = info.data_offsets;
        // Piece by piece: the whole in its own type beside the whole in `f32` would be twice the memory.
        let mut values: Vec<T> = Vec::with_capacity(info.shape.iter().product());
        self.copy(self.start + begin, self.start + end, &mut |piece| {
            let count = piece.len() / dtype.size_in_bytes();
            let part = Tensor::from_raw_buffer(piece, dtype, &[count], &Device::Cpu)?;
            values.extend(part.to_dtype(T::DTYPE)?.to_vec1::<T>()?);
            Ok(())
        })?;
        Ok(Tensor::from_vec(
            values,
            info.shape.as_slice(),
            &Device::Cpu,
        )?)
    }

    /// Hands a part of the file to `to`, in pieces of whole values.
    fn copy(&self, begin: u64, end: u64, to: CopyTo) -> Result<()> {
        let failed = |source| Error::io("can't read the weights", &self.path, source);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(begin)).map_err(failed)?;
        let mut piece = Vec::with_capacity(READ_BYTES);
        let mut left = end - begin;
        while left > 0 {
            let length = left.min(READ_BYTES as u64);
            piece.clear();
            let read = file.take(length).read_to_end(&mut piece).map_err(failed)?;
            if read as u64 != length {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            to(&piece)?;
            left -= length;
        }
        Ok(())
    }

    fn layout(&self, name: &str) -> Result<(&TensorInfo, DType)> {
        let Some(info) = self.tensors.get(name) else {
            return self.refuse(&format!("it has no tensor {name}"));
        };
        let Some((_, dtype, width)) = TYPES.iter().find(|(name, ..)| *name == info.dtype) else {
            return self.refuse(&format!(
                "the tensor {name} is {}, only F32, F16 and BF16 are supported. Use weights that are \
                 not quantised.",
                info.dtype
            ));
        };
        let (begin, end) = info.data_offsets;
        let bytes = info.shape.iter().try_fold(*width, |bytes, size| {
            bytes.checked_mul(u64::try_from(*size).ok()?)
        });
        if bytes != Some(end - begin) {
            return self.refuse(&format!(
                "the tensor {name} has {} bytes, which is not its shape {:?}",
                end - begin,
                info.shape
            ));
        }
        Ok((info, *dtype))
    }
}
