//! Schemas of what differs from kind to kind, made of the one list.

use super::definition::Job;
use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Ref, Schema};
use utoipa::{PartialSchema, ToSchema};

/// What may be true of every document of a kind that only a newer program knows.
fn unknown() -> ObjectBuilder {
    ObjectBuilder::new().description(Some("Of a kind that this API does not know."))
}

macro_rules! schema_of_kinds {
    ($name:ident, $text:literal, $($(#[$only:meta])* $document:ty,)*) => {
        #[doc = $text]
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let forms = AnyOfBuilder::new();
                $(
                    $(#[$only])*
                    let forms = forms.item(Ref::from_schema_name(<$document as ToSchema>::name()));
                )*
                forms.item(unknown()).description(Some($text)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $(
                    $(#[$only])*
                    {
                        schemas.push((<$document as ToSchema>::name().into_owned(), <$document as PartialSchema>::schema()));
                        <$document as ToSchema>::schemas(schemas);
                    }
                )*
            }
        }
    };
}

macro_rules! declare {
    ($($(#[$only:meta])* $file:ident: $job:ident,)*) => {
        schema_of_kinds!(JobPayload, "The payload of a task, in the form of its kind.", $($(#[$only])* super::$job,)*);
        schema_of_kinds!(
            JobRequest,
            "What was asked for, in the form of its kind.",
            $($(#[$only])* <super::$job as Job>::RequestView,)*
        );
        schema_of_kinds!(
            JobResult,
            "What a task did, over all of its attempts, in the form of its kind.",
            $($(#[$only])* <super::$job as Job>::ResultView,)*
        );
    };
}

crate::for_each_job!(declare);
