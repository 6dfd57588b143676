//! Reads rows from Parquet files, the format of most datasets on Hugging Face.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::TreeBuilder;
use parquet::record::{Field, Row};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};
use serde_json::{Map, Value};

use super::{MAX_ROW_MEMORY, MAX_TEXT_BYTES};
use super::{pages, rows};
use crate::error;
use crate::json::Budget;
use crate::json::length;

/// The first bytes of a Parquet file.
pub const MAGIC: &[u8] = b"PAR1";

/// Reads all rows. `each` receives a row's number, from 1, and a JSON object with its supported columns.
pub fn read(
    file: &File,
    failed: &dyn Fn(String) -> error::Error,
    each: &mut dyn FnMut(usize, Value) -> error::Result<()>,
) -> error::Result<()> {
    let broken = |error: ParquetError| failed(format!("the Parquet data is broken: {error}"));
    let own = file.try_clone().map_err(|error| broken(error.into()))?;
    let reader = guarded(|| SerializedFileReader::new(own)).map_err(broken)?;
    let schema = wanted_columns(&reader).map_err(failed)?;
    let mut bytes = 0;
    let mut number = 0;
    for index in 0..reader.num_row_groups() {
        let group = guarded(|| reader.get_row_group(index)).map_err(broken)?;
        pages::check(file, group.metadata(), &schema).map_err(broken)?;
        let columns = Arc::clone(&schema);
        let mut iter = guarded(|| TreeBuilder::new().as_iter(columns, &*group)).map_err(broken)?;
        while let Some(row) = guarded(|| iter.next().transpose()).map_err(broken)? {
            number += 1;
            let budget = Budget::new(MAX_ROW_MEMORY);
            let value = object(&row, &budget)
                .map_err(|reason| failed(format!("row {number}: {reason}")))?;
            bytes += length(&value) as u64;
            if bytes > MAX_TEXT_BYTES {
                return Err(failed(format!(
                    "more than {} MiB when decompressed",
                    MAX_TEXT_BYTES >> 20
                )));
            }
            each(number, value)?;
        }
    }
    Ok(())
}

/// Turns panics into errors, because the library checks parts of a file's metadata with assertions.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(ParquetError::General("an impossible value".to_owned())))
}

/// The columns that rows can have. Other columns, such as pictures, aren't even read.
fn wanted_columns(reader: &dyn FileReader) -> Result<SchemaDescPtr, String> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let all = schema.root_schema().get_fields();
    let known: Vec<_> = all
        .iter()
        .filter(|field| rows::columns().any(|name| name == field.name()))
        .cloned()
        .collect();
    for (index, field) in known.iter().enumerate() {
        if known[..index]
            .iter()
            .any(|other| other.name() == field.name())
        {
            return Err(format!("two columns are named `{}`", field.name()));
        }
    }
    if known.is_empty() {
        let names: Vec<&str> = all.iter().map(|field| field.name()).collect();
        return Err(format!(
            "row 1: expected `messages`, or `prompt` and `completion`, or `text`, but the columns are {}",
            names.join(", ")
        ));
    }
    let root = Type::group_type_builder(schema.name())
        .with_fields(known)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(root))))
}

/// Converts a row to JSON. Null fields are left out: every row has the columns of all rows.
fn object(row: &Row, budget: &Budget) -> Result<Value, String> {
    budget.value(0)?;
    let mut map = Map::new();
    for (name, field) in row.get_column_iter() {
        if !matches!(field, Field::Null) {
            budget.field(name.len())?;
            map.insert(name.clone(), value(name, field, budget)?);
        }
    }
    Ok(Value::Object(map))
}

/// Converts a field of the column or struct field `name` to JSON.
fn value(name: &str, field: &Field, budget: &Budget) -> Result<Value, String> {
    match field {
        Field::Group(row) => object(row, budget),
        Field::ListInternal(list) => {
            budget.value(0)?;
            let elements = list.elements().iter();
            elements
                .map(|element| value(name, element, budget))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        Field::Str(text) => budget.value(text.len()).map(|()| text.as_str().into()),
        // A text column that its writer didn't mark as UTF-8.
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => budget.value(text.len()).map(|()| text.into()),
            Err(_) => Err(format!("`{name}` is binary data, not a text")),
        },
        other => budget.value(0).map(|()| other.to_json_value()),
    }
}

#[cfg(test)]
#[path = "parquet_tests.rs"]
mod tests;
