#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use super::*;

const SELF_SIGNED: &str = include_str!("../../../__test__/fixtures/self-signed.cert.pem");
const AUTHORITY: &str = include_str!("../../../__test__/fixtures/authority.cert.pem");
const YEAR: u64 = 366 * 24 * 60 * 60;

/// What becomes of the self-signed certificate when these are the extra ones.
fn verdict(extra: &str, name: &'static str, now: UnixTime) -> std::result::Result<(), TlsError> {
    // Only for a machine whose system has none.
    take_nodes_roots(AUTHORITY).unwrap();
    let provider = Arc::new(ring::default_provider());
    let extra = certificates(extra.as_bytes()).unwrap();
    let trust = Trust::of(&provider, extra).unwrap();
    let [shown] = certificates(SELF_SIGNED.as_bytes())
        .unwrap()
        .try_into()
        .unwrap();
    let name = ServerName::try_from(name).unwrap();
    trust
        .verify_server_cert(&shown, &[], &name, &[], now)
        .map(|_| ())
}

#[test]
fn t36_a_self_signed_certificate_counts_where_the_user_names_it() {
    let now = UnixTime::now();
    assert_eq!(verdict(SELF_SIGNED, "localhost", now), Ok(()));
    let code = |verdict: std::result::Result<(), TlsError>| explain(&verdict.unwrap_err()).0;
    assert_eq!(
        code(verdict(AUTHORITY, "localhost", now)),
        "DEPTH_ZERO_SELF_SIGNED_CERT"
    );
    assert_eq!(
        code(verdict(SELF_SIGNED, "other.test", now)),
        "ERR_TLS_CERT_ALTNAME_INVALID"
    );
}

#[test]
fn t36_and_only_within_its_dates() {
    let code = |seconds| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        explain(&verdict(SELF_SIGNED, "localhost", at).unwrap_err()).0
    };
    assert_eq!(code(50 * YEAR), "CERT_NOT_YET_VALID");
    assert_eq!(code(200 * YEAR), "CERT_HAS_EXPIRED");
}

#[test]
fn t36_a_self_signed_certificate_without_names_is_its_common_names() {
    let [shown] = certificates(include_bytes!("common-name.cert.pem"))
        .unwrap()
        .try_into()
        .unwrap();
    let fits = |name: &'static str| verify_name(&shown, &ServerName::try_from(name).unwrap());
    assert_eq!(fits("localhost"), Ok(()));
    assert_eq!(fits("LOCALHOST"), Ok(()));
    for other in ["local", "localhost.test", "127.0.0.1"] {
        let code = explain(&fits(other).unwrap_err()).0;
        assert_eq!(code, "ERR_TLS_CERT_ALTNAME_INVALID", "{other}");
    }
}

#[test]
fn a_bad_certificate_does_not_cost_the_others() {
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let all = format!("{bad}{AUTHORITY}{bad}{SELF_SIGNED}");
    assert_eq!(certificates(all.as_bytes()).unwrap().len(), 2);
    assert!(certificates(bad.as_bytes()).is_err());
}

#[test]
fn common_names_are_found_where_they_stand_only() {
    let pair = |identifier: &[u8], value: &[u8]| {
        let string = [&[0x0c, u8::try_from(value.len()).unwrap()], value].concat();
        let oid = [&[0x06, 0x03], identifier].concat();
        let both = [oid, string].concat();
        let size = u8::try_from(both.len()).unwrap();
        [&[0x31, size + 2, 0x30, size], both.as_slice()].concat()
    };
    let (common, organisation) = ([0x55, 0x04, 0x03], [0x55, 0x04, 0x0a]);
    let inner = pair(&common, b"inner.test");
    let subject = [
        pair(&organisation, &inner),
        pair(&common, b"a.test"),
        pair(&common, b"b.test"),
    ]
    .concat();
    let found: Vec<_> = common_names(&subject).collect();
    assert_eq!(found, [b"a.test", b"b.test"]);
    for cut in 0..subject.len() {
        assert!(common_names(&subject[..cut]).count() <= 2);
    }
    // Lengths of one byte and two, and one that promises more than there is.
    let long = [&[0x31, 0x82, 0x01, 0x00][..], &[0; 256]].concat();
    assert_eq!(elements(&long).next(), Some((0x31, &[0; 256][..])));
    assert_eq!(
        elements(&[0x31, 0x81, 0x01, 7]).next(),
        Some((0x31, &[7][..]))
    );
    assert_eq!(elements(&[0x31, 0x82, 0x01, 0x00, 7]).next(), None);
}
