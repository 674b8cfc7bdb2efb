// SPDX-License-Identifier: Apache-2.0 OR MIT
//! JSON as libvirt and QEMU exchange it: errors with libvirt's code, and the dotted keys of QEMU's options.

use serde_json::{Map, Value};
use virtus_api::{Error, ErrorCode, Result};

/// How many objects a dotted key may stand for, so that a hostile one cannot exhaust the stack.
const DEEPEST: usize = 32;

/// Reads one document.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` with line and column.
pub fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|cause| {
        Error::new(ErrorCode::InvalidArg, format!("failed to parse JSON: {cause}"))
    })
}

/// Turns `{"file.driver": …}` into `{"file": {"driver": …}}` at every depth, and an object whose keys are the
/// numbers from 0 on into an array.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` where two spellings of the same key meet, a key has both a value and members, or is very deep.
pub fn deflatten(value: Value) -> Result<Value> {
    Ok(numbered(nested(value)?))
}

fn nested(value: Value) -> Result<Value> {
    let Value::Object(flat) = value else { return Ok(value) };
    let mut deep = Map::new();
    for (key, value) in flat {
        if key.matches('.').count() > DEEPEST {
            let text = format!("can't deflatten a key of more than {DEEPEST} levels");
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
        insert(&mut deep, &key, nested(value)?)?;
    }
    Ok(Value::Object(deep))
}

fn insert(into: &mut Map<String, Value>, key: &str, value: Value) -> Result<()> {
    let Some((head, tail)) = key.split_once('.') else {
        if into.contains_key(key) {
            let text = format!("can't deflatten colliding key '{key}'");
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
        into.insert(key.to_owned(), value);
        return Ok(());
    };
    match into.entry(head).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(members) => insert(members, tail, value),
        _ => Err(Error::new(
            ErrorCode::InvalidArg,
            "mixing nested objects and values is forbidden in JSON deflattening",
        )),
    }
}

/// Makes arrays of the objects that dotted keys like `server.0.host` have left.
fn numbered(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let members: Map<String, Value> =
        members.into_iter().map(|(key, value)| (key, numbered(value))).collect();
    let mut items = vec![Value::Null; members.len()];
    let mut places: Vec<Option<usize>> = members.keys().map(|key| key.parse().ok()).collect();
    places.sort_unstable();
    if members.is_empty() || !places.into_iter().eq((0..members.len()).map(Some)) {
        return Value::Object(members);
    }
    for (key, value) in members {
        if let Some(item) = key.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
            *item = value;
        }
    }
    Value::Array(items)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dots_become_objects_and_numbers_arrays() {
        let flat =
            json!({ "driver": "raw", "file": { "server.1.host": "b", "server.0.host": "a" } });
        let deep =
            json!({ "driver": "raw", "file": { "server": [{ "host": "a" }, { "host": "b" }] } });
        assert_eq!(deflatten(flat).unwrap(), deep);
        let gap = json!({ "0": 1, "2": 2 });
        assert_eq!(deflatten(gap.clone()).unwrap(), gap);
        assert_eq!(deflatten(json!({})).unwrap(), json!({}));
    }

    #[test]
    fn a_key_has_one_meaning() {
        assert!(deflatten(json!({ "a.b": 1, "a.b.c": 2 })).is_err());
        assert!(deflatten(json!({ "a": { "b": 1 }, "a.b": 2 })).is_err());
    }
}
