// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Text that travels as an array of C characters: security labels, models, SASL data.

/// `text` as C characters. Labels and models count their final NUL, even when empty.
#[must_use]
pub fn with_nul(text: &str) -> Vec<i8> {
    text.bytes().chain([0]).map(|byte| byte as i8).collect()
}

/// `text` as C characters in an array of fixed size, cut short if need be, always NUL-terminated.
#[must_use]
pub fn fixed<const N: usize>(text: &str) -> [i8; N] {
    let mut chars = [0; N];
    for (to, from) in chars.iter_mut().take(N.saturating_sub(1)).zip(text.bytes()) {
        *to = from as i8;
    }
    chars
}

/// The text before the first NUL; what is not UTF-8 is replaced.
#[must_use]
pub fn text(chars: &[i8]) -> String {
    let bytes: Vec<u8> = chars.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_survives_as_characters() {
        assert_eq!(super::text(&super::with_nul("selinux")), "selinux");
        assert_eq!(super::with_nul(""), [0]);
        assert_eq!(super::text(&super::fixed::<4>("x86_64")), "x86");
    }
}
