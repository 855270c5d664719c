//! What doctor asks of the database; no row is changed.

use super::trouble::is_denied;
use super::{Site, number_column, text_column, trouble};
use crate::outcome::Trouble;

/// Most groups of users that are listed.
const MOST_SHARES: usize = 20;

/// A table that the program uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Storage engine, such as `InnoDB`; none when there is no such table.
    pub engine: Option<String>,
    /// Collation, such as `utf8mb4_unicode_ci`.
    pub collation: String,
    /// Whether WordPress, WP Fusion or this program makes it.
    pub ours: bool,
}

/// Users with one e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedAddress {
    /// Their ids, with commas.
    pub ids: String,
}

impl Site<'_> {
    /// The tables that webhooks use, as they are.
    pub fn tables_in_use(&mut self) -> Result<Vec<Table>, Trouble> {
        let names = self.names_in_use();
        let list: Vec<String> = names.iter().map(|(name, _)| self.text(name)).collect();
        let statement = format!(
            "SELECT TABLE_NAME AS name, ENGINE AS engine, TABLE_COLLATION AS collation FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ({})",
            list.join(", ")
        );
        let rows = self.rows(&statement).map_err(trouble)?;
        let table = |(name, ours): &(String, bool)| {
            let row = rows.iter().find(|row| text_column(row, "name") == *name);
            Table {
                name: name.clone(),
                engine: row.map(|row| text_column(row, "engine")),
                collation: row
                    .map(|row| text_column(row, "collation"))
                    .unwrap_or_default(),
                ours: *ours,
            }
        };
        Ok(names.iter().map(table).collect())
    }

    fn names_in_use(&self) -> Vec<(String, bool)> {
        let tables = &self.tables;
        [
            (&tables.users, false),
            (&tables.usermeta, false),
            (&tables.options, false),
            (&tables.log, false),
            (&tables.lock, true),
            (&tables.inbox, true),
            (&tables.state, true),
        ]
        .map(|(name, ours)| (name.clone(), ours))
        .to_vec()
    }

    /// The rights that are missing on these tables, each as `UPDATE on wp_users`.
    ///
    /// Statements that can touch no row are tried: the server checks rights before it looks for rows, and so nothing has to
    /// be undone, which MyISAM could not. On our own table a row is really written, and rolled back.
    pub fn missing_rights(&mut self, tables: &[Table]) -> Result<Vec<String>, Trouble> {
        let mut missing = Vec::new();
        for table in tables.iter().filter(|table| table.engine.is_some()) {
            let name = &table.name;
            let column = self.first_column(name)?;
            let mut tries = vec![
                ("SELECT", format!("SELECT 1 FROM `{name}` WHERE 1 = 0")),
                (
                    "INSERT",
                    format!("INSERT INTO `{name}` SELECT * FROM `{name}` WHERE 1 = 0"),
                ),
                (
                    "UPDATE",
                    format!("UPDATE `{name}` SET `{column}` = `{column}` WHERE 1 = 0"),
                ),
            ];
            if table.ours || *name == self.tables.usermeta {
                tries.push(("DELETE", format!("DELETE FROM `{name}` WHERE 1 = 0")));
            }
            for (right, statement) in tries {
                match self.run(&statement) {
                    Ok(_) => {}
                    Err(error) if is_denied(&error) => {
                        missing.push(format!("{right} on {name}"));
                    }
                    Err(error) => return Err(trouble(error)),
                }
            }
        }
        let lock = tables.iter().find(|table| table.ours);
        if lock.is_some_and(|table| table.engine.is_some()) && missing.is_empty() {
            self.try_write()?;
        }
        Ok(missing)
    }

    fn first_column(&mut self, table: &str) -> Result<String, Trouble> {
        let rows = self
            .rows(&format!("SHOW COLUMNS FROM `{table}`"))
            .map_err(trouble)?;
        let name = rows
            .first()
            .map(|row| text_column(row, "Field"))
            .unwrap_or_default();
        Ok(name.replace('`', "``"))
    }

    /// Writes a row of the lock table and takes it back.
    fn try_write(&mut self) -> Result<(), Trouble> {
        let result = self.begin(&[super::NAMES_SLOT], Vec::new());
        self.roll_back();
        result.map(|_| ())
    }

    /// Users who share an e-mail address, up to twenty groups.
    pub fn shared_addresses(&mut self) -> Result<Vec<SharedAddress>, Trouble> {
        let statement = format!(
            "SELECT GROUP_CONCAT(ID ORDER BY ID SEPARATOR ', ') AS ids FROM `{}` WHERE user_email <> '' \
             GROUP BY user_email HAVING COUNT(*) > 1 ORDER BY MIN(ID) LIMIT {MOST_SHARES}",
            self.tables.users
        );
        let rows = self.rows(&statement).map_err(trouble)?;
        let share = |row| SharedAddress {
            ids: text_column(row, "ids"),
        };
        Ok(rows.iter().map(share).collect())
    }

    /// Plugins that are switched on, by their main file; those of the whole network too.
    pub fn active_plugins(&mut self) -> Result<String, Trouble> {
        let mut statement = format!(
            "SELECT option_value AS value FROM `{}` WHERE option_name = 'active_plugins'",
            self.tables.options
        );
        if self.config.network().is_some() {
            statement = format!(
                "{statement} UNION ALL SELECT meta_value FROM `{}sitemeta` WHERE meta_key = 'active_sitewide_plugins'",
                self.tables.base
            );
        }
        let rows = self.rows(&statement).map_err(trouble)?;
        let values: Vec<String> = rows.iter().map(|row| text_column(row, "value")).collect();
        Ok(values.join("\n"))
    }

    /// The server's name and version, whether the connection is encrypted, and its clock in seconds since 1970.
    pub fn server(&mut self) -> Result<(String, bool, u64), Trouble> {
        let rows = self
            .rows("SELECT VERSION() AS version, UNIX_TIMESTAMP() AS clock")
            .map_err(trouble)?;
        let cipher = self
            .rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
            .map_err(trouble)?;
        let encrypted = cipher
            .first()
            .is_some_and(|row| !text_column(row, "Value").is_empty());
        let row = rows.first();
        Ok((
            row.map(|row| text_column(row, "version"))
                .unwrap_or_default(),
            encrypted,
            row.map_or(0, |row| number_column(row, "clock")),
        ))
    }
}
