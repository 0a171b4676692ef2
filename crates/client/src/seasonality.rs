//! Studies: submitting them, and reading what they found.

use crate::api::{Api, segment};
use crate::error::ApiError;
use crate::klines::Klines;
use crate::pages::{Page, pages};
use candlemill_shared::forms::{
    Accepted, StudyFilter, StudyList, StudyQuery, StudyRequest, StudySummary, StudyTable, StudyView, TableFormat,
    TablePage, TableRows,
};
use futures::Stream;
use reqwest::Method;
use std::fmt::Display;

impl Api {
    /// Submits a study: `POST /api/seasonality`.
    ///
    /// ```no_run
    /// use candlemill_client::forms::StudyRequest;
    ///
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// let accepted = api.study(&StudyRequest::new("BTCUSDT".parse()?, "1h".parse()?), None).await?;
    /// api.follow(accepted.task_id, |progress| println!("{} %", progress.percent)).await?;
    /// let found = api.show_study(accepted.task_id).await?;
    /// println!("{} candles, charts {:?}", found.report.candles, found.report.charts);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn study(&self, request: &StudyRequest, idempotency_key: Option<&str>) -> Result<Accepted, ApiError> {
        self.submit("/api/seasonality", request, idempotency_key).await
    }

    /// A page of the caller's studies: `GET /api/seasonality`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn studies(&self, filter: &StudyFilter) -> Result<StudyList, ApiError> {
        self.read(self.request(Method::GET, "/api/seasonality").query(filter)).await
    }

    /// Every study of `filter`, page by page; its `limit` is the length of a page.
    pub fn every_study(&self, filter: StudyFilter) -> impl Stream<Item = Result<StudySummary, ApiError>> + '_ {
        pages(filter, async |mut filter| {
            let StudyList { studies, next_cursor } = self.studies(&filter).await?;
            let next = next_cursor.map(|cursor| {
                filter.cursor = Some(cursor.into());
                filter
            });
            Ok(Page { items: studies, next })
        })
    }

    /// What a study found: `GET /api/seasonality/{id}`.
    ///
    /// # Errors
    /// The API's refusal (`study_not_found`: none of the caller's), or no answer.
    pub async fn show_study<I: Display + Send>(&self, id: I) -> Result<StudyView, ApiError> {
        self.read(self.request(Method::GET, &path(&id))).await
    }

    /// A page of a study's table: `GET /api/seasonality/{id}?table=…`. `cursor` is `next_cursor` of the page before.
    ///
    /// # Errors
    /// The API's refusal (`table_not_found`: the study has no such table), or no answer.
    pub async fn study_rows<I: Display + Send>(
        &self,
        id: I,
        table: StudyTable,
        cursor: Option<u32>,
    ) -> Result<TableRows, ApiError> {
        let query = StudyQuery {
            table: Some(table.into()),
            format: None,
            cursor: cursor.map(|page| TablePage::nearest(page).into()),
        };
        self.read(self.request(Method::GET, &path(&id)).query(&query)).await
    }

    /// A whole table of a study as CSV or Arrow, as it comes: `GET /api/seasonality/{id}?table=…&format=…`.
    ///
    /// # Errors
    /// As [`Api::study_rows`].
    pub async fn study_table<I: Display + Send>(
        &self,
        id: I,
        table: StudyTable,
        format: TableFormat,
    ) -> Result<Klines, ApiError> {
        let query = StudyQuery { table: Some(table.into()), format: Some(format.into()), cursor: None };
        let answer = self.answer(self.request(Method::GET, &path(&id)).query(&query)).await?;
        Ok(Klines::new(answer, self.base()))
    }

    /// A chart of a study, an SVG: `GET /api/seasonality/{id}/charts/{name}.svg`. `name` is one of the study's `charts`.
    ///
    /// # Errors
    /// The API's refusal (`chart_not_found`), or no answer.
    pub async fn study_chart<I: Display + Send>(&self, id: I, name: &str) -> Result<String, ApiError> {
        let path = format!("{}/charts/{}.svg", path(&id), segment(name));
        let answer = self.answer(self.request(Method::GET, &path)).await?;
        Klines::new(answer, self.base()).text().await
    }

    /// Deletes a study: `DELETE /api/seasonality/{id}`.
    ///
    /// # Errors
    /// The API's refusal (`study_not_found`: none of the caller's), or no answer.
    pub async fn delete_study<I: Display + Send>(&self, id: I) -> Result<(), ApiError> {
        self.answer(self.request(Method::DELETE, &path(&id))).await.map(drop)
    }
}

fn path(id: &impl Display) -> String {
    format!("/api/seasonality/{}", segment(id))
}
