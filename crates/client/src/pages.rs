//! Lists that come page by page, as one stream.

use crate::error::ApiError;
use futures::{Stream, TryStreamExt as _, stream};

/// One page, and the query of the page after it.
pub(crate) struct Page<Query, Item> {
    pub(crate) items: Vec<Item>,
    pub(crate) next: Option<Query>,
}

/// Every item of every page, from that of `first` on. A page is asked for when the one before it is used up; the first error is the
/// stream's last item.
pub(crate) fn pages<Query, Item>(
    first: Query,
    read: impl AsyncFn(Query) -> Result<Page<Query, Item>, ApiError>,
) -> impl Stream<Item = Result<Item, ApiError>> {
    stream::try_unfold((Some(first), read), async |(query, read)| {
        let Some(query) = query else { return Ok::<_, ApiError>(None) };
        let Page { items, next } = read(query).await?;
        Ok(Some((stream::iter(items.into_iter().map(Ok::<Item, ApiError>)), (next, read))))
    })
    .try_flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of two; the query is the first number.
    async fn check(numbers: u32, expected_reads: u32) {
        let reads = std::cell::Cell::new(0);
        let all = pages(0, async |from| {
            reads.set(reads.get() + 1);
            let to = numbers.min(from + 2);
            Ok(Page { items: (from..to).collect(), next: (to < numbers).then_some(to) })
        });
        let all: Vec<u32> = all.try_collect().await.unwrap();
        assert_eq!((all, reads.get()), ((0..numbers).collect(), expected_reads));
    }

    #[tokio::test]
    async fn every_page_is_read_once() {
        for (numbers, reads) in [(0, 1), (1, 1), (2, 1), (3, 2), (5, 3)] {
            check(numbers, reads).await;
        }
    }
}
