//! Arithmetic: the plugin of the README. Its functions stand at the world's root, documented in `wit/calc.wit`.
#![no_std]
extern crate alloc;

use alloc::{format, string::String, vec::Vec};

guest::runtime!();
guest::embed_wit!("../wit/calc.wit");
wit_bindgen::generate!({ world: "calc", path: "wit" });
export!(Calc);

struct Calc;

impl Guest for Calc {
    fn add(a: f64, b: f64, c: Option<f64>) -> f64 {
        a + b + c.unwrap_or(0.0)
    }

    fn sub(a: f64, b: f64) -> f64 {
        a - b
    }

    fn mul(a: f64, b: f64) -> f64 {
        a * b
    }

    fn div(a: f64, b: f64) -> Result<f64, String> {
        divisor(b).map(|b| a / b)
    }

    fn rem(a: f64, b: f64) -> Result<f64, String> {
        divisor(b).map(|b| libm::fmod(a, b))
    }

    fn pow(base: f64, exponent: f64) -> f64 {
        libm::pow(base, exponent)
    }

    fn sqrt(x: f64) -> Result<f64, String> {
        if x < 0.0 {
            return Err("a negative number has no real square root".into());
        }
        Ok(libm::sqrt(x))
    }

    fn hypot(a: f64, b: f64) -> f64 {
        libm::hypot(a, b)
    }

    fn sum(xs: Vec<f64>) -> f64 {
        // Starts at +0: the empty `Iterator::sum` of floats is -0.
        xs.iter().fold(0.0, |sum, x| sum + x)
    }

    fn mean(xs: Vec<f64>) -> Option<f64> {
        let count = xs.len() as f64;
        (!xs.is_empty()).then(|| Self::sum(xs) / count)
    }

    fn median(mut xs: Vec<f64>) -> Option<f64> {
        xs.sort_unstable_by(f64::total_cmp);
        let upper = *xs.get(xs.len() / 2)?;
        if xs.len() % 2 == 1 {
            return Some(upper);
        }
        let lower = *xs.get(xs.len() / 2 - 1)?;
        Some((lower + upper) / 2.0)
    }

    fn fib(n: u32) -> Result<u64, String> {
        if n > LAST_FIB {
            return Err(format!(
                "fib({n}) does not fit in 64 bits; the last that does is fib({LAST_FIB})"
            ));
        }
        let (mut this, mut next) = (0u64, 1u64);
        for _ in 0..n {
            // Wraps only for the number after the last one, which nobody reads.
            (this, next) = (next, this.wrapping_add(next));
        }
        Ok(this)
    }

    fn factorial(n: u32) -> Result<u64, String> {
        (1..=u64::from(n))
            .try_fold(1u64, u64::checked_mul)
            .ok_or_else(|| format!("{n}! does not fit in 64 bits; the last that does is 20!"))
    }

    fn gcd(mut a: u64, mut b: u64) -> u64 {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    }

    fn is_prime(n: u64) -> bool {
        if n < 4 {
            return n >= 2;
        }
        if n.is_multiple_of(2) || n.is_multiple_of(3) {
            return false;
        }
        // Every prime above 3 stands beside a multiple of 6.
        let mut d = 5u64;
        while d <= n / d {
            if n.is_multiple_of(d) || n.is_multiple_of(d + 2) {
                return false;
            }
            d += 6;
        }
        true
    }
}

fn divisor(b: f64) -> Result<f64, String> {
    if b == 0.0 { Err("division by zero".into()) } else { Ok(b) }
}

/// fib(93) = 12,200,160,415,121,876,738 is the last below 2^64.
const LAST_FIB: u32 = 93;
