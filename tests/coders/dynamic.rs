//! An interpreter of coders: bytes to and from the values of `standard_coders.yaml`, in that file's own shapes.

use std::sync::Arc;

use ferrobeam::element::coder::urn;
use ferrobeam::element::row::{Decimal, FieldType, Kind};
use ferrobeam::element::{
    Coder, Firing, Header, Input, Iter, Layout, Nesting, Pane, Raw, TimerCoding, TimerRecord,
    Timestamp, Timing, Value, WindowBytes, WindowCoding, put_varint,
};
use ferrobeam::window::IntervalWindow;
use ferrobeam::{DynRow, Element, Schema};
use yaml_rust2::Yaml;
use yaml_rust2::yaml::Hash;

use Nesting::Nested;

type Result<T> = std::result::Result<T, String>;

fn text(yaml: &Yaml) -> Result<&str> {
    yaml.as_str().ok_or_else(|| format!("{yaml:?} is no text"))
}

fn number(yaml: &Yaml) -> Result<i64> {
    yaml.as_i64()
        .ok_or_else(|| format!("{yaml:?} is no number"))
}

fn float(yaml: &Yaml) -> Result<f64> {
    match text(yaml)? {
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        text => text.parse().map_err(|_| format!("{text} is no float")),
    }
}

fn list(yaml: &Yaml) -> Result<&[Yaml]> {
    let list = yaml
        .as_vec()
        .ok_or_else(|| format!("{yaml:?} is no list"))?;
    Ok(list)
}

fn bad<T>(coder: &Coder, yaml: &Yaml) -> Result<T> {
    Err(format!("{yaml:?} is no {coder}"))
}

fn part(coder: &Coder, index: usize) -> Result<&Coder> {
    coder.component(index).map_err(|e| e.to_string())
}

/// Writes a value of the file as `coder` says.
pub(crate) fn encode(coder: &Coder, value: &Yaml, at: Nesting, out: &mut Vec<u8>) -> Result<()> {
    match coder.urn.as_ref() {
        urn::BYTES => text(value)?.as_bytes().to_vec().encode(out, at),
        urn::STRING_UTF8 => text(value)?.to_owned().encode(out, at),
        urn::VARINT => number(value)?.encode(out, at),
        urn::BOOL => value.as_bool().ok_or("no bool")?.encode(out, at),
        urn::DOUBLE => float(value)?.encode(out, at),
        urn::GLOBAL_WINDOW => {}
        urn::INTERVAL_WINDOW => interval(value)?.encode(out, at),
        urn::KV => {
            encode(part(coder, 0)?, &value["key"], Nested, out)?;
            encode(part(coder, 1)?, &value["value"], at, out)?;
        }
        urn::SHARDED_KEY => {
            put_run(text(&value["shardId"])?.as_bytes(), out);
            encode(part(coder, 0)?, &value["key"], Nested, out)?;
        }
        urn::NULLABLE if value.is_null() => out.push(0),
        urn::NULLABLE => {
            out.push(1);
            encode(part(coder, 0)?, value, at, out)?;
        }
        urn::ITERABLE | urn::STATE_BACKED_ITERABLE => {
            let values = list(value)?;
            out.extend_from_slice(&(values.len() as u32).to_be_bytes());
            for value in values {
                encode(part(coder, 0)?, value, Nested, out)?;
            }
        }
        urn::CUSTOM_WINDOW => {
            let window = interval(&value["window"])?;
            Timestamp::from_millis(window.end.millis() - 1).encode(out);
            window.encode(out, Nested);
        }
        urn::WINDOWED_VALUE => {
            header(part(coder, 1)?, value)?.encode(out);
            encode(part(coder, 0)?, &value["value"], at, out)?;
        }
        urn::PARAM_WINDOWED_VALUE => encode(part(coder, 0)?, &value["value"], at, out)?,
        urn::TIMER => timer(coder, value)?.encode(out),
        urn::ROW => row(coder, value)?.encode(out).map_err(|e| e.to_string())?,
        _ => return bad(coder, value),
    }
    Ok(())
}

/// Reads a value as `coder` says, in the shape of `like`.
pub(crate) fn decode(coder: &Coder, input: &mut Input<'_>, at: Nesting) -> ferrobeam::Result<Yaml> {
    let string = |text: &str| Yaml::String(text.to_owned());
    Ok(match coder.urn.as_ref() {
        urn::BYTES => Yaml::String(String::from_utf8(Vec::decode(input, at)?)?),
        urn::STRING_UTF8 => Yaml::String(String::decode(input, at)?),
        urn::VARINT => Yaml::Integer(i64::decode(input, at)?),
        urn::BOOL => Yaml::Boolean(bool::decode(input, at)?),
        urn::DOUBLE => bits(f64::decode(input, at)?),
        urn::GLOBAL_WINDOW => string("global"),
        urn::INTERVAL_WINDOW => show_interval(IntervalWindow::decode(input, at)?),
        urn::KV => hash([
            ("key", decode(coder.component(0)?, input, Nested)?),
            ("value", decode(coder.component(1)?, input, at)?),
        ]),
        urn::SHARDED_KEY => hash([
            ("shardId", Yaml::String(String::decode(input, Nested)?)),
            ("key", decode(coder.component(0)?, input, Nested)?),
        ]),
        urn::NULLABLE => match input.byte()? {
            0 => Yaml::Null,
            _ => decode(coder.component(0)?, input, at)?,
        },
        urn::ITERABLE | urn::STATE_BACKED_ITERABLE => Yaml::Array(decode_iterable(coder, input)?),
        urn::CUSTOM_WINDOW => {
            let end = Timestamp::decode(input)?;
            let window = IntervalWindow::decode(input, Nested)?;
            assert_eq!(end.millis(), window.end.millis() - 1);
            hash([("window", show_interval(window))])
        }
        urn::WINDOWED_VALUE => {
            let mut header = Header::global(Timestamp::MIN);
            header.decode_into(input, &WindowCoding::of(coder.component(1)?)?)?;
            show_windowed(coder, &header, decode(coder.component(0)?, input, at)?)?
        }
        urn::PARAM_WINDOWED_VALUE => {
            let header = Header::of_params(coder)?;
            show_windowed(coder, &header, decode(coder.component(0)?, input, at)?)?
        }
        urn::TIMER => {
            let timer = TimerRecord::decode(input, &TimerCoding::of(coder)?)?;
            show_timer(coder, &timer)?
        }
        urn::ROW => {
            let row = DynRow::decode(&Arc::new(Schema::of_coder(coder)?), input, at)?;
            show_value(&Value::Row(row))
        }
        _ => return Err(ferrobeam::Error::user(format!("{coder} is unknown"))),
    })
}

/// The value in the form that [`decode`] yields, in which equal values are equal.
pub(crate) fn normal(coder: &Coder, value: &Yaml) -> Result<Yaml> {
    Ok(match coder.urn.as_ref() {
        urn::DOUBLE => bits(float(value)?),
        urn::GLOBAL_WINDOW => Yaml::String("global".into()),
        urn::ITERABLE | urn::STATE_BACKED_ITERABLE => {
            let values = list(value)?.iter();
            let values = values.map(|value| normal(part(coder, 0)?, value));
            Yaml::Array(values.collect::<Result<_>>()?)
        }
        urn::ROW => show_value(&Value::Row(row(coder, value)?)),
        _ => value.clone(),
    })
}

/// Values one by one, so that tails behind a token are followed.
fn decode_iterable(coder: &Coder, input: &mut Input<'_>) -> ferrobeam::Result<Vec<Yaml>> {
    let element = coder.component(0)?;
    let read = |bytes: &[u8]| decode(element, &mut Input::new(bytes), Nested);
    match element.urn.as_ref() {
        urn::VARINT => each::<i64>(input, read),
        urn::BOOL => each::<bool>(input, read),
        urn::BYTES => each::<Vec<u8>>(input, read),
        urn::GLOBAL_WINDOW => each::<ferrobeam::window::GlobalWindow>(input, read),
        _ => each::<Raw>(input, read),
    }
}

fn each<T: Element>(
    input: &mut Input<'_>,
    read: impl Fn(&[u8]) -> ferrobeam::Result<Yaml>,
) -> ferrobeam::Result<Vec<Yaml>> {
    let values = Iter::<T>::decode(input, Nested)?;
    let values = values.iter();
    values
        .map(|value| read(&ferrobeam::element::encoded(&value?, Nested)))
        .collect()
}

/// Not-a-number equals itself, and zero differs from minus zero.
fn bits(x: f64) -> Yaml {
    Yaml::String(format!("{x:?} {:016x}", x.to_bits()))
}

fn hash<const N: usize>(entries: [(&str, Yaml); N]) -> Yaml {
    let entries = entries.map(|(key, value)| (Yaml::String(key.to_owned()), value));
    Yaml::Hash(entries.into_iter().collect::<Hash>())
}

fn put_run(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn interval(yaml: &Yaml) -> Result<IntervalWindow> {
    let end = number(&yaml["end"])?;
    Ok(IntervalWindow::from_millis(
        end - number(&yaml["span"])?,
        end,
    ))
}

fn show_interval(window: IntervalWindow) -> Yaml {
    let (start, end) = (window.start.millis(), window.end.millis());
    hash([
        ("end", Yaml::Integer(end)),
        ("span", Yaml::Integer(end - start)),
    ])
}

fn windows(coder: &Coder, value: &Yaml) -> Result<WindowBytes> {
    let mut windows = WindowBytes::none();
    for window in list(&value["windows"])? {
        let mut bytes = Vec::new();
        encode(coder, window, Nested, &mut bytes)?;
        windows.push(&bytes);
    }
    Ok(windows)
}

fn show_windows(coder: &Coder, windows: &WindowBytes) -> ferrobeam::Result<Yaml> {
    let mut input = Input::new(windows.bytes());
    let windows = (0..windows.count()).map(|_| decode(coder, &mut input, Nested));
    windows.collect::<ferrobeam::Result<_>>().map(Yaml::Array)
}

fn pane(yaml: &Yaml) -> Result<Pane> {
    Ok(Pane {
        first: yaml["is_first"].as_bool() == Some(true),
        last: yaml["is_last"].as_bool() == Some(true),
        timing: match text(&yaml["timing"])? {
            "EARLY" => Timing::Early,
            "ON_TIME" => Timing::OnTime,
            "LATE" => Timing::Late,
            _ => Timing::Unknown,
        },
        index: number(&yaml["index"])?,
        non_speculative: number(&yaml["on_time_index"])?,
    })
}

fn show_pane(pane: &Pane) -> Yaml {
    let timing = match pane.timing {
        Timing::Early => "EARLY",
        Timing::OnTime => "ON_TIME",
        Timing::Late => "LATE",
        Timing::Unknown => "UNKNOWN",
    };
    hash([
        ("is_first", Yaml::Boolean(pane.first)),
        ("is_last", Yaml::Boolean(pane.last)),
        ("timing", Yaml::String(timing.to_owned())),
        ("index", Yaml::Integer(pane.index)),
        ("on_time_index", Yaml::Integer(pane.non_speculative)),
    ])
}

pub(crate) fn header(window: &Coder, value: &Yaml) -> Result<Header> {
    Ok(Header {
        timestamp: Timestamp::from_millis(number(&value["timestamp"])?),
        windows: windows(window, value)?,
        pane: pane(&value["pane"])?,
        metadata: None,
    })
}

fn show_windowed(coder: &Coder, header: &Header, value: Yaml) -> ferrobeam::Result<Yaml> {
    Ok(hash([
        ("value", value),
        ("timestamp", Yaml::Integer(header.timestamp.millis())),
        ("pane", show_pane(&header.pane)),
        (
            "windows",
            show_windows(coder.component(1)?, &header.windows)?,
        ),
    ]))
}

pub(crate) fn timer(coder: &Coder, value: &Yaml) -> Result<TimerRecord> {
    let mut key = Vec::new();
    encode(part(coder, 0)?, &value["userKey"], Nested, &mut key)?;
    let firing = if value["clearBit"].as_bool() == Some(true) {
        None
    } else {
        Some(Firing {
            at: Timestamp::from_millis(number(&value["fireTimestamp"])?),
            hold: Timestamp::from_millis(number(&value["holdTimestamp"])?),
            pane: pane(&value["pane"])?,
        })
    };
    Ok(TimerRecord {
        key: key.into(),
        tag: text(&value["dynamicTimerTag"])?.to_owned(),
        windows: windows(part(coder, 1)?, value)?,
        firing,
    })
}

fn show_timer(coder: &Coder, timer: &TimerRecord) -> ferrobeam::Result<Yaml> {
    let key = decode(coder.component(0)?, &mut Input::new(&timer.key), Nested)?;
    let mut shown = Hash::new();
    let mut put = |key: &str, value| shown.insert(Yaml::String(key.to_owned()), value);
    put("userKey", key);
    put("dynamicTimerTag", Yaml::String(timer.tag.clone()));
    put(
        "windows",
        show_windows(coder.component(1)?, &timer.windows)?,
    );
    put("clearBit", Yaml::Boolean(timer.firing.is_none()));
    if let Some(firing) = &timer.firing {
        put("fireTimestamp", Yaml::Integer(firing.at.millis()));
        put("holdTimestamp", Yaml::Integer(firing.hold.millis()));
        put("pane", show_pane(&firing.pane));
    }
    Ok(Yaml::Hash(shown))
}

pub(crate) fn row(coder: &Coder, value: &Yaml) -> Result<DynRow> {
    let schema = Schema::of_coder(coder).map_err(|e| e.to_string())?;
    match row_value(&Kind::Row(Arc::new(schema)).into(), value)? {
        Value::Row(row) => Ok(row),
        _ => bad(coder, value),
    }
}

fn row_value(field_type: &FieldType, yaml: &Yaml) -> Result<Value> {
    if yaml.is_null() {
        return Ok(Value::Null);
    }
    Ok(match &field_type.kind {
        Kind::Byte => Value::Byte(number(yaml)? as i8),
        Kind::Int16 => Value::Int16(number(yaml)? as i16),
        Kind::Int32 => Value::Int32(number(yaml)? as i32),
        Kind::Int64 => Value::Int64(number(yaml)?),
        Kind::Float => Value::Float(float(yaml)? as f32),
        Kind::Double => Value::Double(float(yaml)?),
        Kind::String => text(yaml)?.into(),
        Kind::Boolean => Value::Boolean(yaml.as_bool().ok_or("no bool")?),
        Kind::Bytes => text(yaml)?.as_bytes().to_vec().into(),
        Kind::Array(element) | Kind::Iterable(element) => {
            let values = list(yaml)?.iter().map(|value| row_value(element, value));
            Value::List(values.collect::<Result<_>>()?)
        }
        Kind::Map(key, value) => {
            let entries = yaml.as_hash().ok_or("no map")?.iter();
            let entries = entries.map(|(k, v)| Ok((row_value(key, k)?, row_value(value, v)?)));
            Value::Map(entries.collect::<Result<_>>()?)
        }
        Kind::Row(schema) => {
            let fields = schema.fields().iter();
            let values = fields.map(|field| row_value(&field.field_type, &yaml[&*field.name]));
            let values = values.collect::<Result<_>>()?;
            DynRow::new(schema.clone(), values)
                .map_err(|e| e.to_string())?
                .into()
        }
        Kind::Logical(logical) => match logical.urn.as_ref() {
            "beam:logical_type:decimal:v1" => {
                let decimal: Decimal = text(yaml)?.parse().map_err(|e| format!("{e}"))?;
                decimal.into()
            }
            // The file has the eight bytes read as a signed number.
            "beam:logical_type:millis_instant:v1" => Value::Int64(number(yaml)? ^ i64::MIN),
            _ => row_value(
                logical.representation.as_ref().ok_or("no representation")?,
                yaml,
            )?,
        },
    })
}

fn show_value(value: &Value) -> Yaml {
    match value {
        // The order of a map's entries is its writer's choice.
        Value::Map(entries) => {
            let mut shown: Vec<_> = entries.iter().map(|(k, v)| format!("{k}: {v}")).collect();
            shown.sort();
            Yaml::String(shown.join(", "))
        }
        Value::Row(row) => Yaml::Array(row.iter().map(|(_, value)| show_value(value)).collect()),
        value => Yaml::String(value.to_string()),
    }
}

/// Steps over one value, and says how many bytes it had.
pub(crate) fn skipped(coder: &Coder, bytes: &[u8], at: Nesting) -> ferrobeam::Result<usize> {
    let mut input = Input::new(bytes);
    Layout::of(coder)?.skip(&mut input, at)?;
    Ok(bytes.len() - input.remaining())
}
