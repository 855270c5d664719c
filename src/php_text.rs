//! Quoted texts out of PHP code that is looked at, never run. Pure.

/// The next text in single quotes, with what follows its closing quote; none when there is no whole one.
///
/// Inside, only `\'` and `\\` mean something else than themselves.
fn next_quoted(code: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let start = code.iter().position(|byte| *byte == b'\'')?;
    let mut text = Vec::new();
    let mut rest = code.get(start + 1..)?;
    loop {
        match rest {
            [b'\'', after @ ..] => return Some((text, after)),
            [b'\\', c @ (b'\'' | b'\\'), after @ ..] => {
                text.push(*c);
                rest = after;
            }
            [c, after @ ..] => {
                text.push(*c);
                rest = after;
            }
            [] => return None,
        }
    }
}

/// The texts that the code hands to `__( '…' )` as they stand, in order.
pub(crate) fn translated(code: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const CALL: &[u8] = b"__(";
    let mut rest = code;
    std::iter::from_fn(move || {
        loop {
            let at = rest.windows(CALL.len()).position(|window| window == CALL)?;
            rest = rest.get(at + CALL.len()..)?;
            let argument = rest.trim_ascii_start();
            if argument.starts_with(b"'")
                && let Some((text, _)) = next_quoted(argument)
            {
                return Some(text);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_are_read_as_php_reads_them() {
        let code = br"x = 'it\'s \\ a \n' . 'b";
        let (text, rest) = next_quoted(code).unwrap();
        assert_eq!(text, br"it's \ a \n");
        assert_eq!(rest, b" . 'b");
        assert_eq!(next_quoted(rest), None);
        assert_eq!(next_quoted(b""), None);
        assert_eq!(next_quoted(br"'\'"), None);
    }

    #[test]
    fn only_what_is_translated_is_found() {
        let code = b"/* don't __( $x ) */ $a = __( 'one' ); esc_html__('two' , 'd'); 'no'; __(\n\t'th\nree' );";
        let found: Vec<Vec<u8>> = translated(code).collect();
        assert_eq!(found, [&b"one"[..], b"two", b"th\nree"]);
    }
}
