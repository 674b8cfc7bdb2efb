// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Golden frames, byte by byte, and the borders of what a frame may be.

use virtus_api::{AuthList, AuthType, ConnectOpen, Request as _};

use super::*;
use crate::codec::{address, decode_reply, decode_request, encode_request};

/// Hexadecimal text with blanks, as bytes.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn auth_list_as_virsh_sends_it() {
    let mut frame = Vec::new();
    let header = Header::call(address(AuthList::CALL), 0);
    encode_frame(&header, 0, &mut frame, |out| encode_request(&AuthList, out)).unwrap();
    let golden = "0000001c 20008086 00000001 00000042 00000000 00000000 00000000";
    assert_eq!(frame, hex(golden));
}

#[test]
fn auth_list_is_answered_with_a_list() {
    let golden = hex("00000024 20008086 00000001 00000042 00000001 00000000 00000000 \
                      00000001 00000000");
    let frame = Frame::decode(&golden).unwrap();
    assert_eq!((frame.header.kind, frame.header.status), (MessageKind::Reply, Status::Ok));
    assert_eq!(decode_reply::<AuthList>(frame.body).unwrap(), [AuthType::None]);
}

#[test]
fn connect_open_with_a_name() {
    // "qemu:///system" is 14 characters: two bytes of padding.
    let golden = hex("00000038 20008086 00000001 00000001 00000000 00000002 00000000 \
                      00000001 0000000e 71656d753a2f2f2f73797374656d 0000 00000000");
    let frame = Frame::decode(&golden).unwrap();
    let request = decode_request(ConnectOpen::CALL, frame.body).unwrap();
    let open = ConnectOpen { name: Some("qemu:///system".into()), flags: 0 };
    assert_eq!(request.get::<ConnectOpen>(), Some(&open));
    let mut again = Vec::new();
    encode_frame(&frame.header, 0, &mut again, |out| encode_request(&open, out)).unwrap();
    assert_eq!(again, golden);
}

#[test]
fn the_length_word_has_borders() {
    assert_eq!(frame_length(&[0, 0, 0]), Ok(None));
    assert_eq!(frame_length(&28_u32.to_be_bytes()), Ok(Some(28)));
    assert_eq!(frame_length(&33_554_436_u32.to_be_bytes()), Ok(Some(33_554_436)));
    for bad in [0, 4, 27, 33_554_437, u32::MAX] {
        assert_eq!(frame_length(&bad.to_be_bytes()), Err(FrameError::Length(bad)));
    }
}

#[test]
fn descriptors_are_counted_before_the_body() {
    let header =
        Header { kind: MessageKind::CallWithFds, ..Header::call(address(AuthList::CALL), 7) };
    let mut frame = Vec::new();
    encode_frame(&header, 2, &mut frame, |_| Ok(())).unwrap();
    assert_eq!(Frame::decode(&frame), Ok(Frame { header, fds: 2, body: &[] }));
    frame[28..32].copy_from_slice(&33_u32.to_be_bytes());
    assert_eq!(Frame::decode(&frame), Err(FrameError::Descriptors(Some(33))));
    let too_many = encode_frame(&header, 33, &mut Vec::new(), |_| Ok(()));
    assert_eq!(too_many, Err(EncodeError::TooLong { length: 33, max: 32 }));
}

#[test]
fn a_frame_that_cannot_be_written_leaves_nothing_behind() {
    let mut out = vec![1, 2, 3];
    let header = Header::call(address(ConnectOpen::CALL), 0);
    let bad = ConnectOpen { name: Some("a\0b".into()), flags: 0 };
    let done = encode_frame(&header, 0, &mut out, |out| encode_request(&bad, out));
    assert_eq!(done, Err(EncodeError::Nul));
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn stream_data_needs_no_padding() {
    let header =
        Header::call(address(AuthList::CALL), 3).answer(MessageKind::Stream, Status::Continue);
    let mut frame = Vec::new();
    encode_raw(&header, b"abc", &mut frame).unwrap();
    assert_eq!(frame.len(), MIN_FRAME + 3);
    assert_eq!(Frame::decode(&frame).unwrap().body, b"abc");
    let mut head = Vec::new();
    encode_head(&header, 3, &mut head).unwrap();
    assert_eq!([&head[..], b"abc"].concat(), frame);
    assert!(encode_head(&header, MAX_FRAME, &mut head).is_err());
    assert_eq!(head.len(), MIN_FRAME, "nothing is left behind");
}

#[test]
fn holes_have_a_length() {
    let mut body = Vec::new();
    encode_hole(&StreamHole { length: 1 << 40, flags: 0 }, &mut body).unwrap();
    assert_eq!(body, hex("0000010000000000 00000000"));
    assert_eq!(decode_hole(&body).unwrap().length, 1 << 40);
}
