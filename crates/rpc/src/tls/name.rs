// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The text of a distinguished name as GnuTLS writes it, because administrators copy it from
//! `virt-pki-query-dn` into `tls_allowed_dn_list`: in the order of the certificate, commas without
//! blanks, and these names of attributes.

use std::fmt::Write;

use x509_parser::asn1_rs::{Any, ToDer};
use x509_parser::x509::X509Name;

/// Attributes that have a name; the others are written as numbers.
const NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "surName"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "givenName"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAIL"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionOfIncorporationLocalityName"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionOfIncorporationStateOrProvinceName"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionOfIncorporationCountryName"),
];

/// `name` as a text.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for part in name.iter() {
        let mut separator = if text.is_empty() { "" } else { "," };
        for attribute in part.iter() {
            text.push_str(separator);
            separator = "+";
            let number = attribute.attr_type().to_id_string();
            let known = NAMES.iter().find(|(known, _)| *known == number);
            text.push_str(known.map_or(number.as_str(), |(_, name)| name));
            text.push('=');
            match attribute.as_str() {
                Ok(value) if known.is_some() => escape(value, &mut text),
                _ => hexadecimal(attribute.attr_value(), &mut text),
            }
        }
    }
    text
}

/// RFC 4514, section 2.4.
fn escape(value: &str, out: &mut String) {
    let last = value.char_indices().next_back().map_or(0, |(index, _)| index);
    for (index, character) in value.char_indices() {
        let special = match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            '#' => index == 0,
            ' ' => index == 0 || index == last,
            _ => false,
        };
        if special {
            out.push('\\');
        }
        out.push(character);
    }
}

fn hexadecimal(value: &Any<'_>, out: &mut String) {
    out.push('#');
    for byte in value.to_der_vec().unwrap_or_default() {
        // Writing to a string does not fail.
        let _always = write!(out, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
    use x509_parser::prelude::{FromDer, X509Certificate};

    #[test]
    fn names_are_written_as_gnutls_writes_them() {
        // What `virt-pki-query-dn` printed for a certificate with this subject.
        let wanted = r##"C=GB,L=Lo\, \"nd\"on,O=Lib\<v\>irt\; P=r,OU=a#b,DC=org,EMAIL=a@b.c,serialNumber=12,1.2.840.113549.1.9.2=#0c02756e,description=\#x,name=Ü/x,CN=\ lead trail\ "##;
        let mut name = DistinguishedName::new();
        for (number, value) in [
            (&[2, 5, 4, 6][..], "GB"),
            (&[2, 5, 4, 7], "Lo, \"nd\"on"),
            (&[2, 5, 4, 10], "Lib<v>irt; P=r"),
            (&[2, 5, 4, 11], "a#b"),
            (&[0, 9, 2342, 19_200_300, 100, 1, 25], "org"),
            (&[1, 2, 840, 113_549, 1, 9, 1], "a@b.c"),
            (&[2, 5, 4, 5], "12"),
            (&[1, 2, 840, 113_549, 1, 9, 2], "un"),
            (&[2, 5, 4, 13], "#x"),
            (&[2, 5, 4, 41], "Ü/x"),
            (&[2, 5, 4, 3], " lead trail "),
        ] {
            name.push(DnType::from_oid(number), value);
        }
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = name;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
        assert_eq!(super::text(parsed.subject()), wanted);
    }
}
