//! The table in `docs/performance.md`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::values::Values;

/// Writes the table of these values, which are in the file of this name, into the document.
pub(crate) fn write(name: &str, values: &Values) -> Result<(), String> {
    let path = path();
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (before, _, after) =
        parts(&text).ok_or_else(|| format!("{}: no place for the table", path.display()))?;
    let text = format!("{before}{BEGIN}{name}{BEGIN_END}\n{}{END}{after}", values.table());
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// What is before the table, the name and the table, and what is behind it.
fn parts(text: &str) -> Option<(&str, (&str, &str), &str)> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (name, rest) = rest.split_once(BEGIN_END)?;
    let (table, after) = rest.split_once(END)?;
    Some((before, (name, table.trim_start_matches('\n')), after))
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md")
}

const BEGIN: &str = "<!-- counts of ";
const BEGIN_END: &str = ", written by --bless -->";
const END: &str = "<!-- end of counts -->";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values;

    #[test]
    fn the_document_has_the_committed_values() {
        let text = fs::read_to_string(path()).unwrap();
        let (_, (name, table), _) = parts(&text).unwrap();
        let values = Values::read(&values::folder().join(name)).unwrap().unwrap();
        assert_eq!(table, values.table());
    }
}
