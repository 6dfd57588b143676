#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use super::*;

const SELF_SIGNED: &str = include_str!("../../../__test__/fixtures/self-signed.cert.pem");
const AUTHORITY: &str = include_str!("../../../__test__/fixtures/authority.cert.pem");
const COMMON_NAME: &[u8] = include_bytes!("common-name.cert.pem");
const YEAR: u64 = 366 * 24 * 60 * 60;

/// The verdict on the self-signed certificate when `extra` is the content of `NODE_EXTRA_CA_CERTS`.
fn verdict(extra: &str, name: &'static str, now: UnixTime) -> std::result::Result<(), TlsError> {
    verdict_on(SELF_SIGNED.as_bytes(), extra.as_bytes(), name, now)
}

fn verdict_on(
    shown: &[u8],
    extra: &[u8],
    name: &'static str,
    now: UnixTime,
) -> std::result::Result<(), TlsError> {
    // Only used on a machine whose system has no roots.
    take_nodes_roots(AUTHORITY).unwrap();
    let provider = Arc::new(ring::default_provider());
    let trust = Trust::of(&provider, certificates(extra).unwrap()).unwrap();
    let [shown] = certificates(shown).unwrap().try_into().unwrap();
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
fn t36_a_self_signed_certificate_without_a_subject_alternative_name_is_refused_with_what_to_do() {
    let error = verdict_on(COMMON_NAME, COMMON_NAME, "localhost", UnixTime::now()).unwrap_err();
    let (code, words) = explain(&error);
    assert_eq!(code, "ERR_TLS_CERT_ALTNAME_INVALID");
    assert!(words.contains("subject alternative name"), "{words}");
}

#[test]
fn a_bad_certificate_does_not_cost_the_others() {
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let all = format!("{bad}{AUTHORITY}{bad}{SELF_SIGNED}");
    assert_eq!(certificates(all.as_bytes()).unwrap().len(), 2);
    assert!(certificates(bad.as_bytes()).is_err());
}
