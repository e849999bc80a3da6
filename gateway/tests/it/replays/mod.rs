//! Replays from their upload on: the job, its result, the callback, over real brokers and receivers, with workers that a test
//! plays.

mod callbacks;
mod dead_letters;
mod ends;
mod fixture;
mod receiver;
mod results;
mod shared_services;
mod web_capture;
