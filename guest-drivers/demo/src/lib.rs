//! What the demo guest shares with guests that have to show its picture.

#![no_std]

pub mod screen;
