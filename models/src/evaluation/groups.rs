//! `groups.csv`: the groups that people belong to, such as origin or gender.

use std::collections::BTreeMap;
use std::path::Path;

use super::index::{Fault, IndexError, Table};

/// The column with a person's name, which is the name of the person's folder.
const PERSON: &str = "person";

/// The groups of a data set's people, by one or several criteria.
///
/// The file is comma-separated text (RFC 4180) in UTF-8. Its first line names the columns: `person` is the name of a
/// person's folder. Every other column is a criterion that divides people into groups, `group` if there is only one. A
/// person with an empty field is in no group of that column.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Groups {
    columns: Vec<String>,
    /// The fields of each person, one per column.
    people: BTreeMap<String, Vec<String>>,
}

/// The groups of one criterion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grouping {
    /// The column's name.
    pub column: String,
    /// The groups' names, sorted.
    pub names: Vec<String>,
    /// For each person of a data set, the index of its group in `names`; `None` if the file names none.
    pub of_person: Vec<Option<usize>>,
}

impl Groups {
    /// Reads the file.
    ///
    /// # Errors
    /// The file cannot be read, has no column `person` or no other column, a row has another length than the first
    /// line, or a person has two rows.
    pub fn read(path: &Path) -> Result<Self, IndexError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| IndexError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|fault| fault.in_file(path))
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let table = Table::parse(text)?;
        let fault = |line, reason: String| Err(Fault { line, reason });
        let person = table.position(PERSON)?;
        let columns: Vec<String> = table.names.iter().filter(|name| *name != PERSON).cloned().collect();
        if columns.is_empty() {
            return fault(1, format!("there is no column beside `{PERSON}`"));
        }
        let mut people = BTreeMap::new();
        for (line, mut fields) in table.rows {
            let name = fields.remove(person);
            if people.contains_key(&name) {
                return fault(line, format!("`{name}` has two rows, and a person is in one group"));
            }
            people.insert(name, fields);
        }
        Ok(Self { columns, people })
    }

    /// The groupings of people, one per column. Each has an entry for each of `people`.
    #[must_use]
    pub fn groupings(&self, people: &[String]) -> Vec<Grouping> {
        let grouping = |(index, column): (usize, &String)| {
            let group = |person: &String| {
                let name = self.people.get(person)?.get(index)?.trim();
                (!name.is_empty()).then_some(name)
            };
            let mut names: Vec<String> = people.iter().filter_map(group).map(str::to_owned).collect();
            names.sort();
            names.dedup();
            let of_person = people.iter().map(|person| {
                let name = group(person)?;
                names.binary_search_by(|known| known.as_str().cmp(name)).ok()
            });
            let of_person = of_person.collect();
            Grouping { column: column.clone(), names, of_person }
        };
        self.columns.iter().enumerate().map(grouping).collect()
    }
}

impl Grouping {
    /// Whether two people are in the same group.
    #[must_use]
    pub fn within(&self, people: [u32; 2]) -> bool {
        let [one, other] = people.map(|person| self.of_person[person as usize]);
        one.is_some() && one == other
    }

    /// Whether two people are in different groups.
    #[must_use]
    pub fn across(&self, people: [u32; 2]) -> bool {
        let [one, other] = people.map(|person| self.of_person[person as usize]);
        one.is_some() && other.is_some() && one != other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_column_beside_the_person_is_a_grouping() {
        let groups =
            Groups::parse("\u{feff}person,origin,gender\nb,x,f\na,y,f\nc,x,\nunknown,z,m\n").unwrap();
        let [origin, gender] = groups.groupings(&names(&["a", "b", "c", "d"])).try_into().unwrap();
        assert_eq!((origin.column.as_str(), origin.names.clone()), ("origin", names(&["x", "y"])));
        assert_eq!(origin.of_person, [Some(1), Some(0), Some(0), None]);
        assert_eq!(gender.of_person, [Some(0), Some(0), None, None]);
        assert!(origin.within([1, 2]) && origin.across([0, 2]) && !origin.within([0, 2]));
        assert!(!origin.within([3, 3]) && !origin.across([0, 3]));
    }

    #[test]
    fn what_is_no_list_of_groups_is_named_with_its_line() {
        for (text, line, reason) in [
            ("name,group\na,x\n", 1, "there is no column `person`"),
            ("person\na\n", 1, "there is no column beside `person`"),
            ("person,group\na,x\na,y\n", 3, "`a` has two rows"),
            ("person,group\na\n", 2, "1 fields, not 2"),
        ] {
            let fault = Groups::parse(text).unwrap_err();
            assert!(fault.line == line && fault.reason.contains(reason), "{text}: {fault:?}");
        }
    }
}
