//! Replays after their upload: the job, its result and the callback, with real brokers and receivers, and with
//! workers whose role a test plays.

mod callbacks;
mod dead_letters;
mod ends;
mod fixture;
mod receiver;
mod results;
mod shared_services;
mod web_capture;
