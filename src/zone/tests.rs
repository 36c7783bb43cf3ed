use super::*;
use crate::dns::{Edns, Query, parse_name, type_mnemonic};

const ZONE: &str = r#"
$ORIGIN example.org.
$TTL 1h
@        SOA ns admin ( 7 2h 30m 2w 5m )
         NS ns
         NS ns.elsewhere.net.
ns       60 IN A 192.0.2.53
www      A 192.0.2.1
WWW.Example.org. A 192.0.2.1
www      AAAA 2001:db8::1
alias    CNAME WWW
chain    CNAME alias
circle   CNAME circle2
circle2  CNAME circle
out      CNAME www.example.net.
gone     CNAME nowhere
mail     MX 10 www
_s._tcp  SRV 0 5 80 www
a.deep.ent TXT "x" "y z"
*.wild   A 192.0.2.2
*.wild   TXT "wild"
b.wild   A 192.0.2.3
x.y.wild TXT "y is there"
*.aw     CNAME www
sub      NS ns.sub
sub      DS 1 13 2 00FF
ns.sub   A 192.0.2.54
deep.sub TXT "not ours"
dn       DNAME example.net.
dn       TXT "beside"
here     DNAME wild
svc      HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1 port=8443
svc      A 192.0.2.5
raw      TYPE65280 \# 3 01 02 03
"#;

fn zone(text: &str) -> Result<Zone, ZoneError> {
    Zone::read(&parse_name("example.org.").unwrap(), Path::new("db"), &mut |_| Ok(text.as_bytes().to_vec()))
}

fn query(name: &str, record_type: &str, dnssec_ok: bool) -> Query {
    let record_type = crate::dns::parse_type(record_type).unwrap();
    let edns = Edns { udp_size: 1232, dnssec_ok, options: Vec::new() };
    Query { edns: Some(edns), ..Query::of_our_own(parse_name(name).unwrap(), record_type) }
}

fn shown(records: &[Record]) -> String {
    let line = |record: &Record| {
        let name = record.name.to_ascii();
        let name = name.strip_suffix("example.org.").map_or(name.clone(), |label| format!("{label}~"));
        format!("{name} {} {}", record.ttl, type_mnemonic(record.record_type()))
    };
    records.iter().map(line).collect::<Vec<_>>().join(", ")
}

fn check(name: &str, record_type: &str, outcome: Outcome, sections: [&str; 3]) {
    let response = zone(ZONE).unwrap().lookup(&query(name, record_type, false));
    let found = [&response.answers, &response.authority, &response.additional].map(|section| shown(section));
    assert_eq!((response.outcome, found), (outcome, sections.map(str::to_owned)), "{name} {record_type}");
}

const NS: &str = "~ 3600 NS, ~ 3600 NS";
const SOA: &str = "~ 300 SOA";
const NO_DATA: Outcome = Outcome::NoData { is_empty_non_terminal: false };
const EMPTY: Outcome = Outcome::NoData { is_empty_non_terminal: true };

fn alias(name: &str) -> Outcome {
    Outcome::Alias(parse_name(name).unwrap())
}

#[test]
fn the_apex_has_soa_and_name_servers() {
    check("example.org.", "SOA", Outcome::Positive, ["~ 3600 SOA", NS, ""]);
    check("example.org.", "NS", Outcome::Positive, [NS, "", "ns.~ 60 A"]);
    check("example.org.", "A", NO_DATA, ["", SOA, ""]);
    check("example.org.", "DS", NO_DATA, ["", SOA, ""]);
}

#[test]
fn a_name_is_found_in_any_letter_case_and_written_as_the_client_does() {
    check("WWW.example.org.", "A", Outcome::Positive, ["WWW.~ 3600 A", NS, ""]);
    check("www.EXAMPLE.ORG.", "TXT", NO_DATA, ["", SOA, ""]);
    check("nowhere.example.org.", "A", Outcome::NxDomain, ["", SOA, ""]);
    check("raw.example.org.", "ANY", Outcome::Positive, ["raw.~ 3600 TYPE65280", NS, ""]);
}

#[test]
fn an_empty_non_terminal_exists() {
    check("ent.example.org.", "A", EMPTY, ["", SOA, ""]);
    check("deep.ent.example.org.", "TXT", EMPTY, ["", SOA, ""]);
    check("b.deep.ent.example.org.", "TXT", Outcome::NxDomain, ["", SOA, ""]);
    check("_tcp.example.org.", "SRV", EMPTY, ["", SOA, ""]);
}

#[test]
fn a_wildcard_stands_for_what_is_not_there_below_its_parent() {
    check("a.wild.example.org.", "A", Outcome::Positive, ["a.wild.~ 3600 A", NS, ""]);
    check("a.b.c.wild.example.org.", "A", Outcome::Positive, ["a.b.c.wild.~ 3600 A", NS, ""]);
    check("a.wild.example.org.", "AAAA", NO_DATA, ["", SOA, ""]);
    check("b.wild.example.org.", "TXT", NO_DATA, ["", SOA, ""]);
    // RFC 4592 section 2.2.1: what is below another name, even one without records, is not below the wildcard.
    check("y.wild.example.org.", "A", EMPTY, ["", SOA, ""]);
    check("a.y.wild.example.org.", "A", Outcome::NxDomain, ["", SOA, ""]);
    check("a.b.wild.example.org.", "A", Outcome::NxDomain, ["", SOA, ""]);
    check("*.wild.example.org.", "A", Outcome::Positive, ["*.wild.~ 3600 A", NS, ""]);
    check("q.aw.example.org.", "AAAA", Outcome::Positive, ["q.aw.~ 3600 CNAME, www.~ 3600 AAAA", NS, ""]);
}

#[test]
fn aliases_are_followed_in_the_zone() {
    let chain = "chain.~ 3600 CNAME, alias.~ 3600 CNAME, WWW.~ 3600 A";
    check("chain.example.org.", "A", Outcome::Positive, [chain, NS, ""]);
    check("chain.example.org.", "CNAME", Outcome::Positive, ["chain.~ 3600 CNAME", NS, ""]);
    check("out.example.org.", "A", alias("www.example.net."), ["out.~ 3600 CNAME", NS, ""]);
    check("gone.example.org.", "A", Outcome::NxDomain, ["gone.~ 3600 CNAME", SOA, ""]);
    let circle = "circle.~ 3600 CNAME, circle2.~ 3600 CNAME";
    check("circle.example.org.", "A", Outcome::Positive, [circle, NS, ""]);
}

#[test]
fn below_a_cut_others_are_asked() {
    let servers = ["", "sub.~ 3600 NS", "ns.sub.~ 3600 A"];
    check("sub.example.org.", "A", Outcome::Delegation, servers);
    check("sub.example.org.", "NS", Outcome::Delegation, servers);
    check("deep.sub.example.org.", "TXT", Outcome::Delegation, servers);
    check("ns.sub.example.org.", "A", Outcome::Delegation, servers);
    check("sub.example.org.", "DS", Outcome::Positive, ["sub.~ 3600 DS", NS, ""]);
    check("a.sub.example.org.", "DS", Outcome::Delegation, servers);
}

#[test]
fn dname_renames_what_is_below_it() {
    check("a.dn.example.org.", "A", alias("a.example.net."), ["dn.~ 3600 DNAME, a.dn.~ 3600 CNAME", NS, ""]);
    check("a.dn.example.org.", "CNAME", Outcome::Positive, ["dn.~ 3600 DNAME, a.dn.~ 3600 CNAME", NS, ""]);
    check("dn.example.org.", "TXT", Outcome::Positive, ["dn.~ 3600 TXT", NS, ""]);
    check("dn.example.org.", "DNAME", Outcome::Positive, ["dn.~ 3600 DNAME", NS, ""]);
    let renamed = "here.~ 3600 DNAME, b.here.~ 3600 CNAME, b.wild.~ 3600 A";
    check("b.here.example.org.", "A", Outcome::Positive, [renamed, NS, ""]);
    let long =
        format!("{}.dn.example.org.", ["x".repeat(60), "y".repeat(60), "z".repeat(60), "w".repeat(50)].join("."));
    let mut text = ZONE.replace("dn       DNAME example.net.", &format!("dn DNAME {}.net.", "v".repeat(60)));
    text.push('\n');
    let response = zone(&text).unwrap().lookup(&query(&long, "A", false));
    assert_eq!((response.outcome, shown(&response.answers)), (Outcome::TooLong, "dn.~ 3600 DNAME".to_owned()));
}

#[test]
fn the_addresses_of_servers_come_along() {
    let addresses = "www.~ 3600 A, www.~ 3600 AAAA";
    check("mail.example.org.", "MX", Outcome::Positive, ["mail.~ 3600 MX", NS, addresses]);
    check("_s._tcp.example.org.", "SRV", Outcome::Positive, ["_s._tcp.~ 3600 SRV", NS, addresses]);
    check("svc.example.org.", "HTTPS", Outcome::Positive, ["svc.~ 3600 HTTPS", NS, "svc.~ 3600 A"]);
}

#[test]
fn a_transfer_is_between_two_soa_records() {
    let zone = Arc::new(zone(ZONE).unwrap());
    let records: Vec<Record> = zone.transfer().collect();
    let types: Vec<_> = records.iter().map(|record| type_mnemonic(record.record_type()).into_owned()).collect();
    assert_eq!((types.len(), types[0].as_str(), types[types.len() - 1].as_str()), (31, "SOA", "SOA"));
    assert_eq!(types.iter().filter(|word| *word == "SOA").count(), 2);
    assert!(types.contains(&"TYPE65280".to_owned()), "{types:?}");
}

const SIGNED: &str = r#"
$TTL 1h
@    SOA ns admin 7 2h 30m 2w 5m
@    RRSIG SOA 13 2 3600 20300101000000 20200101000000 1 @ AAAA
@    NS ns
@    RRSIG NS 13 2 3600 20300101000000 20200101000000 1 @ AAAA
@    NSEC b NS SOA RRSIG NSEC
b    A 192.0.2.1
b    RRSIG A 13 3 3600 20300101000000 20200101000000 1 @ AAAA
b    NSEC sub A RRSIG NSEC
sub  NS ns.sub
sub  NSEC *.w NS RRSIG NSEC
*.w  A 192.0.2.1
*.w  NSEC @ A RRSIG NSEC
ns.sub A 192.0.2.2
"#;

#[test]
fn a_signed_zone_proves_what_it_says() {
    let check = |name: &str, record_type: &str, outcome: Outcome, answers: &str, authority: &str| {
        let response = zone(SIGNED).unwrap().lookup(&query(name, record_type, true));
        let found = (response.outcome, shown(&response.answers), shown(&response.authority));
        assert_eq!(found, (outcome, answers.to_owned(), authority.to_owned()), "{name} {record_type}");
    };
    let (ns, soa) = ("~ 3600 NS, ~ 3600 RRSIG", "~ 300 SOA, ~ 300 RRSIG");
    check("b.example.org.", "A", Outcome::Positive, "b.~ 3600 A, b.~ 3600 RRSIG", ns);
    check("b.example.org.", "TXT", NO_DATA, "", &format!("{soa}, b.~ 3600 NSEC"));
    check("a.example.org.", "A", Outcome::NxDomain, "", &format!("{soa}, ~ 3600 NSEC"));
    check("c.example.org.", "A", Outcome::NxDomain, "", &format!("{soa}, b.~ 3600 NSEC, ~ 3600 NSEC"));
    check("x.w.example.org.", "A", Outcome::Positive, "x.w.~ 3600 A", &format!("{ns}, *.w.~ 3600 NSEC"));
    check("x.w.example.org.", "TXT", NO_DATA, "", &format!("{soa}, *.w.~ 3600 NSEC"));
    check("w.example.org.", "TXT", EMPTY, "", &format!("{soa}, sub.~ 3600 NSEC"));
    check("x.sub.example.org.", "A", Outcome::Delegation, "", "sub.~ 3600 NS, sub.~ 3600 NSEC");
    check("sub.example.org.", "DS", NO_DATA, "", &format!("{soa}, sub.~ 3600 NSEC"));
    check("b.example.org.", "RRSIG", Outcome::Positive, "b.~ 3600 RRSIG", ns);
}

#[test]
fn a_zone_that_is_none_says_where() {
    let check = |text: &str, part: &str| {
        let error = zone(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text:?}: {error}");
    };
    let soa = "$TTL 60\n@ SOA a b 1 2 3 4 5\n";
    let with = |line: &str| format!("{soa}{line}\n");
    check("www.example.net. 5 A 192.0.2.1\n", "db: there is no SOA record of example.org.");
    check("a SOA a b 1 2 3 4 5", "db:1: there is no TTL");
    check(&with("@ SOA a b 2 2 3 4 5"), "db:3: there is another SOA record before");
    check(&with("\n zz A 192.0.2.256"), "db:4: a TTL, IN or a type is expected, not \"zz\"");
    check(&with("a A 192.0.2.256"), "db:3: an IPv4 address is expected, not \"192.0.2.256\"");
    check(&with("a CH A 192.0.2.1"), "db:3: the class is IN here, not CH");
    check(&with("a A 192.0.2.1 x"), "db:3: there is nothing to stand behind the data, but \"x\" does");
    check(&with("a AAA 192.0.2.1"), "db:3: a TTL, IN or a type is expected, not \"AAA\"");
    check(&with("a NSEC3PARAM 1 0 0 -"), "db:3: NSEC3 is not supported");
    check(&with("a TXT \"x"), "db:3: the quote is not closed");
    check(&with("$INCLUDE a b c"), "db:3: $INCLUDE takes something else");
    check(&with("$INCLUDE db"), "$INCLUDE goes deeper than 7 files");
    check(&with("a TYPE65280 \\# 3 0102"), "db:3: there are 2 octets behind \\#, not 3");
    check(&with("$GENERATE 1-70000 a$ A 192.0.2.1"), "db:3: no range: \"1-70000\"");
}

#[test]
fn a_range_generates_records() {
    let text = "$TTL 60\n@ SOA a b 1 2 3 4 5\n$GENERATE 1-5/2 h${10,3,d} A 192.0.2.$\n$GENERATE 7-7 x-${0,2,x} 5 TXT \"$$ $\"\n";
    let zone = zone(text).unwrap();
    let names: Vec<_> = zone.nodes.iter().map(|node| shown(&node.records())).collect();
    assert_eq!(names, ["~ 60 SOA", "h011.~ 60 A", "h013.~ 60 A", "h015.~ 60 A", "x-07.~ 5 TXT"]);
    let text = zone.lookup(&query("x-07.example.org.", "TXT", false)).answers[0].data.to_string();
    assert_eq!(text, "$ 7");
}

#[test]
fn an_soa_below_the_apex_will_do() {
    let zone = Zone::read(&Name::root(), Path::new("db"), &mut |_| {
        Ok(b"$TTL 60\nexample.org. SOA a b 1 2 3 4 5\nwww.example.org. A 192.0.2.1\n".to_vec())
    });
    let zone = zone.unwrap();
    assert!(!zone.has_soa_at_apex());
    let response = zone.lookup(&query("www.example.org.", "A", false));
    assert_eq!((response.outcome, shown(&response.answers)), (Outcome::Positive, "www.~ 60 A".to_owned()));
    let response = zone.lookup(&query("www.example.net.", "A", false));
    assert_eq!((response.outcome, shown(&response.authority)), (Outcome::NxDomain, "~ 5 SOA".to_owned()));
}
