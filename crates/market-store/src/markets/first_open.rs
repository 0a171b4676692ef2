//! The first candle of a series: known, remembered, or asked for once.

use super::collection::Markets;
use crate::series::Series;
use candlemill_db::StoreError;
use std::sync::Arc;

/// Why there is no first open time.
enum Lacking<E> {
    /// The series has no candle.
    Nothing,
    Store(StoreError),
    Asking(E),
}

impl Markets {
    /// First open time of a series, where it was learnt before.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn first_open(&self, series: &Series) -> Result<Option<i64>, StoreError> {
        let id = series.id();
        if let Some(known) = self.first_opens.known.get(&id).await {
            return Ok(Some(known));
        }
        let found = self.first_opens.read(&id).await?;
        if let Some(first) = found {
            self.first_opens.known.insert(id, first).await;
        }
        Ok(found)
    }

    /// First open times of those of `series` that have one recorded. Read anew each time: another process may have learnt of an
    /// older one since this one looked.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn recorded_first_opens(&self, series: &[Series]) -> Result<Vec<(Series, i64)>, StoreError> {
        let ids: Vec<String> = series.iter().map(Series::id).collect();
        let recorded = self.first_opens.read_all(&ids).await?;
        let each = series.iter().zip(&ids);
        Ok(each.filter_map(|(series, id)| Some((series.clone(), *recorded.get(id)?))).collect())
    }

    /// First open time of a series: what is known, or what `ask` says, which is remembered. Those of a process who want to
    /// know at once are answered by one call of `ask`; should that fail, each of the others asks for itself.
    ///
    /// # Errors
    /// When MongoDB fails, or `ask` does.
    pub async fn first_open_or<E, F>(&self, series: &Series, ask: impl Fn() -> F) -> Result<Option<i64>, E>
    where
        E: From<StoreError> + Send + Sync + 'static,
        F: Future<Output = Result<Option<i64>, E>>,
    {
        let id = series.id();
        let learn = async {
            if let Some(first) = self.first_opens.read(&id).await.map_err(Lacking::Store)? {
                return Ok(first);
            }
            let first = ask().await.map_err(Lacking::Asking)?.ok_or(Lacking::Nothing)?;
            self.first_opens.write(&id, first).await.map_err(Lacking::Store)
        };
        let lacking = match self.first_opens.known.try_get_with(id.clone(), learn).await {
            Ok(first) => return Ok(Some(first)),
            Err(lacking) => lacking,
        };
        match Arc::try_unwrap(lacking) {
            Ok(Lacking::Nothing) => Ok(None),
            Ok(Lacking::Store(error)) => Err(error.into()),
            Ok(Lacking::Asking(error)) => Err(error),
            // Others got the same answer.
            Err(shared) => match &*shared {
                Lacking::Nothing => Ok(None),
                Lacking::Store(error) => Err(error.clone().into()),
                Lacking::Asking(_) => ask().await,
            },
        }
    }

    /// Remembers the first open time of a series. An older one takes the place of a newer one, never the other way round: the
    /// exchange may add candles before those it had.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn remember_first_open(&self, series: &Series, open_time: i64) -> Result<(), StoreError> {
        let id = series.id();
        let oldest = self.first_opens.write(&id, open_time).await?;
        self.first_opens.known.insert(id, oldest).await;
        Ok(())
    }
}
