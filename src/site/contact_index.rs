//! The index on contact ids that WordPress does not have, made and dropped at the owner's word alone.
//!
//! It stands on WordPress's own table. A table of ours could tell who has an id, but never that nobody has: WP Fusion
//! writes an id into a row that is there already, which leaves no trace, and to add somebody new is always to ask whether
//! nobody has the id. What the server keeps by itself is right at every moment, whoever writes.

use super::{Site, Statement, number_column, text_column, trouble};
use crate::outcome::Trouble;
use crate::plan::CONTACT_ID;

/// The name of our index.
const NAME: &str = "bento_webhooks_contact";

/// How people are found by their contact ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactIds {
    /// The table they are in.
    pub table: String,
    /// How many there are.
    pub number: u64,
    /// What leads to them.
    pub way: Way,
}

/// Contact ids that are read in the time of a few statements.
const FEW: u64 = 5000;

impl ContactIds {
    /// Whether an index should be made.
    pub fn need_index(&self) -> bool {
        self.way == Way::Scan && self.number > FEW
    }
}

/// What leads to a contact id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Our index.
    Ours,
    /// An index that somebody else has made.
    Theirs,
    /// Nothing: the server reads all of them.
    Scan,
}

impl Site<'_> {
    /// How people are found by their contact ids.
    pub fn contact_ids(&mut self) -> Result<ContactIds, Trouble> {
        let table = self.tables.usermeta.clone();
        let counting =
            format!("SELECT COUNT(*) AS number FROM `{table}` WHERE meta_key = '{CONTACT_ID}'");
        let rows = self.rows(&counting).map_err(trouble)?;
        let number = rows.first().map_or(0, |row| number_column(row, "number"));
        // An index helps that begins with the value, or with the key and then the value.
        let listing = format!(
            "SELECT INDEX_NAME AS name FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = {} GROUP BY INDEX_NAME \
             HAVING SUM(SEQ_IN_INDEX = 1 AND COLUMN_NAME = 'meta_value') > 0 \
             OR SUM(SEQ_IN_INDEX = 1 AND COLUMN_NAME = 'meta_key') + SUM(SEQ_IN_INDEX = 2 AND COLUMN_NAME = 'meta_value') > 1",
            self.text(&table)
        );
        let rows = self.rows(&listing).map_err(trouble)?;
        let is_ours = |name: String| name == NAME;
        let way = match rows.iter().map(|row| text_column(row, "name")).any(is_ours) {
            true => Way::Ours,
            false if rows.is_empty() => Way::Scan,
            false => Way::Theirs,
        };
        Ok(ContactIds { table, number, way })
    }

    /// The statement that makes the index; where the engine can, the table is read and written meanwhile.
    pub fn making_index(&mut self) -> Result<String, Trouble> {
        let table = self.tables.usermeta.clone();
        let tables = self.tables_in_use()?;
        let engine = tables.into_iter().find(|own| own.name == table);
        let online = match engine.and_then(|table| table.engine).as_deref() {
            Some("InnoDB") => ", ALGORITHM=INPLACE, LOCK=NONE",
            _ => "",
        };
        Ok(format!(
            "ALTER TABLE `{table}` ADD INDEX {NAME} (meta_key(20), meta_value(40)){online}"
        ))
    }

    /// The statement that drops it.
    pub fn dropping_index(&self) -> String {
        format!("ALTER TABLE `{}` DROP INDEX {NAME}", self.tables.usermeta)
    }

    /// Changes the table. It does not wait long for those who use it: everybody else would wait behind.
    pub fn change_index(&mut self, statement: String) -> Result<(), Trouble> {
        self.send(&[Statement::from(statement)])?;
        Ok(())
    }
}
