//! Rows of any table, from JSON objects, as CSV or as an Arrow IPC stream.

use crate::error::ColumnarError;
use arrow_array::builder::{BooleanBuilder, Float64Builder, StringBuilder, TimestampMillisecondBuilder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::{BufMut, BytesMut};
use candlemill_shared::Timestamp;
use serde_json::{Map, Value};
use std::sync::Arc;

const UTC: &str = "UTC";

/// What a column holds. Any value may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// RFC 3339; in Arrow `timestamp(ms, UTC)`.
    Time,
    /// Text.
    Text,
    /// A `float64`.
    Number,
    /// A `uint64`.
    Count,
    /// A flag.
    Flag,
}

/// A column: the member of the objects that it is of, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name, in the objects and in the output.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableForm {
    /// A header, then a line for each row.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

/// Writes the rows of one table.
pub struct TableWriter {
    columns: &'static [TableColumn],
    form: Form,
}

enum Form {
    Csv { begun: bool },
    Arrow(Box<Option<StreamWriter<Vec<u8>>>>),
}

impl TableWriter {
    /// A writer of a table with these columns.
    #[must_use]
    pub fn new(columns: &'static [TableColumn], form: TableForm) -> Self {
        let form = match form {
            TableForm::Csv => Form::Csv { begun: false },
            TableForm::Arrow => Form::Arrow(Box::new(None)),
        };
        Self { columns, form }
    }

    /// Appends rows to `out`. A member that is no column is left out, a column that a row lacks is null.
    ///
    /// # Errors
    /// When Arrow refuses the batch.
    pub fn rows(&mut self, rows: &[Map<String, Value>], out: &mut BytesMut) -> Result<(), ColumnarError> {
        match &mut self.form {
            Form::Csv { begun } => {
                if !std::mem::replace(begun, true) {
                    header(self.columns, out);
                }
                for row in rows {
                    line(self.columns, row, out);
                }
            }
            Form::Arrow(stream) => {
                let batch = batch(self.columns, rows)?;
                let stream = opened(stream, self.columns)?;
                stream.write(&batch)?;
                out.put_slice(&std::mem::take(stream.get_mut()));
            }
        }
        Ok(())
    }

    /// Appends what ends the table; of one without rows also its header or schema.
    ///
    /// # Errors
    /// When Arrow refuses the schema.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), ColumnarError> {
        match &mut self.form {
            Form::Csv { begun } => {
                if !std::mem::replace(begun, true) {
                    header(self.columns, out);
                }
            }
            Form::Arrow(stream) => {
                let stream = opened(stream, self.columns)?;
                stream.finish()?;
                out.put_slice(&std::mem::take(stream.get_mut()));
            }
        }
        Ok(())
    }
}

fn opened<'a>(
    stream: &'a mut Option<StreamWriter<Vec<u8>>>,
    columns: &[TableColumn],
) -> Result<&'a mut StreamWriter<Vec<u8>>, ColumnarError> {
    match stream {
        Some(stream) => Ok(stream),
        none => Ok(none.insert(StreamWriter::try_new(Vec::new(), &schema(columns))?)),
    }
}

fn header(columns: &[TableColumn], out: &mut BytesMut) {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    out.put_slice(names.join(",").as_bytes());
    out.put_u8(b'\n');
}

fn line(columns: &[TableColumn], row: &Map<String, Value>, out: &mut BytesMut) {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        match row.get(column.name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => quoted(text, out),
            Some(other) => out.put_slice(other.to_string().as_bytes()),
        }
    }
    out.put_u8(b'\n');
}

/// As RFC 4180 says: in quotes where it holds a comma, a quote or a line break.
fn quoted(text: &str, out: &mut BytesMut) {
    if text.contains([',', '"', '\n', '\r']) {
        out.put_u8(b'"');
        out.put_slice(text.replace('"', "\"\"").as_bytes());
        out.put_u8(b'"');
    } else {
        out.put_slice(text.as_bytes());
    }
}

fn schema(columns: &[TableColumn]) -> SchemaRef {
    let field = |column: &TableColumn| {
        let kind = match column.kind {
            ColumnKind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
            ColumnKind::Text => DataType::Utf8,
            ColumnKind::Number => DataType::Float64,
            ColumnKind::Count => DataType::UInt64,
            ColumnKind::Flag => DataType::Boolean,
        };
        Field::new(column.name, kind, true)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn batch(columns: &[TableColumn], rows: &[Map<String, Value>]) -> Result<RecordBatch, ColumnarError> {
    let arrays = columns.iter().map(|column| array(*column, rows)).collect();
    Ok(RecordBatch::try_new(schema(columns), arrays)?)
}

fn array(column: TableColumn, rows: &[Map<String, Value>]) -> ArrayRef {
    let values = rows.iter().map(|row| row.get(column.name));
    match column.kind {
        ColumnKind::Time => {
            let mut array = TimestampMillisecondBuilder::with_capacity(rows.len()).with_timezone(UTC);
            let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok().map(Timestamp::ms);
            values.for_each(|value| array.append_option(value.and_then(time)));
            Arc::new(array.finish())
        }
        ColumnKind::Text => {
            let mut array = StringBuilder::new();
            values.for_each(|value| array.append_option(value.and_then(Value::as_str)));
            Arc::new(array.finish())
        }
        ColumnKind::Number => {
            let mut array = Float64Builder::with_capacity(rows.len());
            values.for_each(|value| array.append_option(value.and_then(Value::as_f64)));
            Arc::new(array.finish())
        }
        ColumnKind::Count => {
            let mut array = UInt64Builder::with_capacity(rows.len());
            values.for_each(|value| array.append_option(value.and_then(Value::as_u64)));
            Arc::new(array.finish())
        }
        ColumnKind::Flag => {
            let mut array = BooleanBuilder::with_capacity(rows.len());
            values.for_each(|value| array.append_option(value.and_then(Value::as_bool)));
            Arc::new(array.finish())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, TimestampMillisecondType};
    use arrow_ipc::reader::StreamReader;
    use serde_json::json;

    const COLUMNS: &[TableColumn] = &[
        TableColumn { name: "at", kind: ColumnKind::Time },
        TableColumn { name: "name", kind: ColumnKind::Text },
        TableColumn { name: "mean", kind: ColumnKind::Number },
        TableColumn { name: "n", kind: ColumnKind::Count },
        TableColumn { name: "open", kind: ColumnKind::Flag },
    ];

    fn written(form: TableForm, rows: &[Value]) -> Vec<u8> {
        let rows: Vec<Map<String, Value>> = rows.iter().map(|row| row.as_object().unwrap().clone()).collect();
        let (mut writer, mut out) = (TableWriter::new(COLUMNS, form), BytesMut::new());
        for row in &rows {
            writer.rows(std::slice::from_ref(row), &mut out).unwrap();
        }
        writer.end(&mut out).unwrap();
        out.to_vec()
    }

    fn rows() -> [Value; 2] {
        [
            json!({"at": "2020-01-01T00:00:00Z", "name": "a,\"b\"", "mean": 0.1, "n": 3, "open": true, "other": [1]}),
            json!({"at": null, "name": "Mon 14", "n": 0}),
        ]
    }

    #[test]
    fn lines_are_quoted_where_they_must_be_and_null_is_nothing() {
        let lines = String::from_utf8(written(TableForm::Csv, &rows())).unwrap();
        let expected = "at,name,mean,n,open\n2020-01-01T00:00:00Z,\"a,\"\"b\"\"\",0.1,3,true\n,Mon 14,,0,\n";
        assert_eq!(lines, expected);
        assert_eq!(written(TableForm::Csv, &[]), b"at,name,mean,n,open\n");
    }

    #[test]
    fn arrow_reads_what_was_written() {
        let bytes = written(TableForm::Arrow, &rows());
        let batches: Vec<RecordBatch> =
            StreamReader::try_new(&bytes[..], None).unwrap().collect::<Result<_, _>>().unwrap();
        let at =
            |batch: &RecordBatch| batch.column(0).as_primitive::<TimestampMillisecondType>().iter().next().flatten();
        let mean = |batch: &RecordBatch| batch.column(2).as_primitive::<Float64Type>().iter().next().flatten();
        assert_eq!(batches.iter().map(at).collect::<Vec<_>>(), [Some(1_577_836_800_000), None]);
        assert_eq!(batches.iter().map(mean).collect::<Vec<_>>(), [Some(0.1), None]);
        let empty = written(TableForm::Arrow, &[]);
        assert_eq!(StreamReader::try_new(&empty[..], None).unwrap().schema().fields().len(), COLUMNS.len());
    }
}
