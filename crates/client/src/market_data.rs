//! Reading what is stored, and what is known of it.

use crate::api::Api;
use crate::error::ApiError;
use crate::klines::Klines;
use crate::pages::{Page, pages};
use candlemill_shared::Candle;
use candlemill_shared::forms::{
    CandleFormat, CoverageQuery, CoverageReport, KlinesQuery, SeriesFilter, SeriesList, SeriesView, SymbolFilter,
    SymbolList, SymbolView,
};
use futures::Stream;
use reqwest::Method;

impl Api {
    /// Stored candles in the form that `query` names, as they come: `GET /api/market-data/klines`.
    ///
    /// ```no_run
    /// use candlemill_client::forms::{CandleFormat, KlinesQuery};
    ///
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// let query = candlemill_client::klines_query("BTCUSDT".parse()?, "1m".parse()?);
    /// let mut klines = api.klines(&KlinesQuery { format: Some(CandleFormat::Csv.into()), ..query }).await?;
    /// while let Some(chunk) = klines.chunk().await? {
    ///     println!("{} bytes", chunk.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn klines(&self, query: &KlinesQuery) -> Result<Klines, ApiError> {
        let answer = self.answer(self.request(Method::GET, "/api/market-data/klines").query(query)).await?;
        Ok(Klines::new(answer, self.base()))
    }

    /// Every candle of `query`, page by page, ascending; its `limit` is the length of a page. Without a start: the newest page
    /// alone.
    pub fn candles(&self, query: KlinesQuery) -> impl Stream<Item = Result<Candle, ApiError>> + '_ {
        let first = KlinesQuery { format: Some(CandleFormat::Objects.into()), ..query };
        pages(first, async |query| {
            let klines = self.klines(&query).await?;
            // The cursor takes the place of the start.
            let next =
                klines.next_cursor().map(|cursor| KlinesQuery { start: None, cursor: Some(cursor.into()), ..query });
            Ok(Page { items: klines.json().await?, next })
        })
    }

    /// Verified ranges, gaps with their reasons, corrections: `GET /api/market-data/coverage`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn coverage(&self, query: &CoverageQuery) -> Result<CoverageReport, ApiError> {
        self.read(self.request(Method::GET, "/api/market-data/coverage").query(query)).await
    }

    /// A page of the stored series: `GET /api/market-data/series`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn series(&self, filter: &SeriesFilter) -> Result<SeriesList, ApiError> {
        self.read(self.request(Method::GET, "/api/market-data/series").query(filter)).await
    }

    /// Every stored series of `filter`, page by page; its `limit` is the length of a page.
    pub fn every_series(&self, filter: SeriesFilter) -> impl Stream<Item = Result<SeriesView, ApiError>> + '_ {
        pages(filter, async |mut filter| {
            let SeriesList { series, next_cursor } = self.series(&filter).await?;
            let next = next_cursor.map(|cursor| {
                filter.cursor = Some(cursor.into());
                filter
            });
            Ok(Page { items: series, next })
        })
    }

    /// A page of the symbols that the exchange lists: `GET /api/market-data/symbols`.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn symbols(&self, filter: &SymbolFilter) -> Result<SymbolList, ApiError> {
        self.read(self.request(Method::GET, "/api/market-data/symbols").query(filter)).await
    }

    /// Every symbol of `filter`, page by page; its `limit` is the length of a page.
    ///
    /// ```no_run
    /// use candlemill_client::forms::SymbolFilter;
    /// use futures::TryStreamExt as _;
    ///
    /// # async fn example(api: candlemill_client::Api) -> Result<(), Box<dyn std::error::Error>> {
    /// let filter = SymbolFilter { status: Some("TRADING".to_owned()), ..SymbolFilter::default() };
    /// let markets: Vec<_> = api.every_symbol(filter).try_collect().await?;
    /// println!("{} markets trade", markets.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn every_symbol(&self, filter: SymbolFilter) -> impl Stream<Item = Result<SymbolView, ApiError>> + '_ {
        pages(filter, async |mut filter| {
            let SymbolList { symbols, next_cursor, .. } = self.symbols(&filter).await?;
            let next = next_cursor.map(|cursor| {
                filter.cursor = Some(cursor.into());
                filter
            });
            Ok(Page { items: symbols, next })
        })
    }
}
