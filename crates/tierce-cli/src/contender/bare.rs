//! No cache: every request asks the database.

use std::sync::Arc;

use super::{Contender, Kept, Updated};
use crate::database::Database;
use crate::error::Error;
use crate::place::{Change, Place};

/// The database alone.
pub(crate) struct Bare {
    database: Arc<Database>,
}

impl Bare {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

impl Contender for Bare {
    type One = Box<Place>;
    type Many = Vec<Place>;

    async fn place(&self, id: u32) -> Result<Option<Box<Place>>, Error> {
        Ok(self.database.place(id).await?.map(Box::new))
    }

    async fn country(&self, code: &str) -> Result<Vec<Place>, Error> {
        Ok(self.database.country(code.to_owned()).await?)
    }

    async fn search(&self, text: &str) -> Result<Vec<Place>, Error> {
        Ok(self.database.search(text.to_owned()).await?)
    }

    async fn update(&self, id: u32, change: Change) -> Result<Option<Updated>, Error> {
        Ok(self.database.update(id, change).await?.map(Updated::from))
    }

    fn kept(&self) -> Kept {
        Kept::default()
    }
}
