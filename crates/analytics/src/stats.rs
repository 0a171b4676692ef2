//! Statistics for which no kept library exists.
