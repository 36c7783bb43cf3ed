//! /health, /ready and /metrics, on a runtime of their own so that they answer under full load.
