//! What others read: metrics for Prometheus and the web endpoints.
