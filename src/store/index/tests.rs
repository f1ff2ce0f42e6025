//! The indexes against a plain list of all resources, by random writes over few names, so that
//! everything collides.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prelude::prop;
use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::prop_oneof;
use proptest::proptest;
use proptest::test_runner::Config as ProptestConfig;
use proptest::test_runner::TestCaseError;

use crate::audit::bytes::Input;
use crate::base::clock::Timestamp;
use crate::base::ident::ResourceId;
use crate::base::ident::Revision;
use crate::store::cell::Mark;
use crate::store::change::Index;
use crate::store::change::Select;
use crate::store::change::Time;
use crate::store::index::Indexes;
use crate::store::index::Loader;
use crate::store::record::Header;

/// Each resource as it was last put.
type Model = BTreeMap<ResourceId, Header>;

/// One write: which resource, and what it becomes; nothing removes it.
type Write = (u8, Option<Header>);

/// The resource of that number.
fn id(number: u8) -> ResourceId {
    let mut bytes = [0; 16];
    // Some ids begin alike.
    bytes[usize::from(number % 3)] = number;
    bytes[15] = number;
    ResourceId::from_bytes(bytes)
}

/// The mark of a resource.
fn mark(header: &Header) -> Mark {
    let bytes = u32::try_from(header.revision.0).unwrap();
    Mark { crc: bytes, bytes }
}

/// Texts: short, nearly too long, too long and alike for as far as they are kept, UUIDs.
fn texts() -> impl Strategy<Value = String> {
    let a = |count| "a".repeat(count);
    prop_oneof![
        "[ab]{0,3}",
        "[ab]{0,2}".prop_map(move |end| a(47) + &end),
        "[ab]{0,2}".prop_map(move |end| a(63) + &end),
        "[ab]{0,2}".prop_map(move |end| a(70) + &end),
        "[ä€]{0,30}",
        "0000000[0-3]-0000-4000-8000-000000000000",
    ]
}

/// Headers with keys as `directory::keys` makes them, and with several emails.
fn headers() -> impl Strategy<Value = Header> {
    let name = || prop::option::of(texts());
    let emails = prop::collection::vec(prop_oneof![texts(), Just("user".to_owned())], 0..4);
    let times = (0..6_i64, 0..6_i64, any::<u8>());
    (name(), name(), name(), name(), emails, times).prop_map(
        |(user_name, display_name, external_id, manager, emails, (created, modified, revision))| {
            // Now and then an email is the user name.
            let email = |email: String| match (&*email, &user_name) {
                ("user", Some(name)) => name.clone(),
                _ => email,
            };
            let emails: Vec<String> = emails.into_iter().map(email).collect();
            let mut keys = Vec::new();
            let mut add = |index, texts: &[String]| {
                keys.extend(texts.iter().map(|text| (index, text.as_str().into())));
            };
            add(Index::Email, &emails);
            add(Index::Manager, manager.as_slice());
            add(Index::UserName, user_name.as_slice());
            add(Index::DisplayName, display_name.as_slice());
            add(Index::ExternalId, external_id.as_slice());
            Header {
                label: None,
                revision: Revision(u64::from(revision)),
                created: Timestamp::from_millis(created),
                modified: Timestamp::from_millis(modified),
                born: 0,
                history: 0,
                keys,
            }
        },
    )
}

/// Writes to few resources.
fn writes() -> impl Strategy<Value = Vec<Write>> {
    let header = prop_oneof![1 => Just(None), 3 => headers().prop_map(Some)];
    prop::collection::vec((0..24_u8, header), 0..60)
}

/// Makes a write in both. `nth` gives births.
fn write(nth: usize, (number, header): Write, indexes: &mut Indexes, model: &mut Model) {
    let id = id(number);
    match header {
        Some(mut header) => {
            let born = u64::try_from(nth).unwrap();
            header.born = model.get(&id).map_or(born, |old| old.born);
            indexes.put(id, mark(&header), &header);
            model.insert(id, header);
        }
        None => {
            let removed = indexes.remove(id).map(|slot| (slot.id, slot.born));
            let expected = model.remove(&id).map(|header| (id, header.born));
            assert_eq!(removed, expected);
        }
    }
}

/// The ids of a model's resources that `fits` admits, oldest first.
fn oldest_first(model: &Model, fits: impl Fn(&Header) -> bool) -> Vec<ResourceId> {
    let mut found: Vec<(&ResourceId, &Header)> =
        model.iter().filter(|(_, header)| fits(header)).collect();
    found.sort_by_key(|(_, header)| header.born);
    found.into_iter().map(|(id, _)| *id).collect()
}

/// Whether a header has a key of that index that `fits` admits.
fn has(header: &Header, index: Index, fits: impl Fn(&str) -> bool) -> bool {
    let mut keys = header.keys.iter();
    keys.any(|(other, text)| *other == index && fits(text))
}

/// Compares everything that can be asked. `texts` are asked for besides the keys that there are.
fn compare(indexes: &Indexes, model: &Model, texts: &[String]) -> Result<(), TestCaseError> {
    compare_lists(indexes, model)?;
    let keys = model.values().flat_map(|header| &header.keys);
    let keys = keys.map(|(_index, text)| &**text);
    let texts: BTreeSet<&str> = keys.chain(texts.iter().map(String::as_str)).collect();
    for text in texts {
        compare_text(indexes, model, text)?;
    }
    for (first, last) in [(0, 5), (1, 1), (2, 4), (4, 2), (-9, 0)] {
        let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
        for time in [Time::Created, Time::Modified] {
            let found = oldest_first(model, |header| {
                let at = match time {
                    Time::Created => header.created,
                    Time::Modified => header.modified,
                };
                first <= at && at <= last
            });
            let select = Select::Times(time, first, last);
            prop_assert_eq!(&indexes.select(&select), &found);
            prop_assert_eq!(indexes.estimate(&select), found.len());
        }
    }
    Ok(())
}

/// Compares counts, slots and the orders of creation and of ids.
fn compare_lists(indexes: &Indexes, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(indexes.count(), model.len());
    let live_bytes: u64 = model.values().map(|header| header.revision.0).sum();
    prop_assert_eq!(indexes.live_bytes(), live_bytes);
    let all = oldest_first(model, |_header| true);
    let part: Vec<ResourceId> = all.iter().copied().skip(3).take(5).collect();
    prop_assert_eq!(indexes.page(0, usize::MAX), all);
    prop_assert_eq!(indexes.page(3, 5), part);
    let ids: Vec<ResourceId> = model.keys().copied().collect();
    prop_assert_eq!(indexes.ids_after(None, usize::MAX), ids);
    for id in (0..24).map(id) {
        let slot = indexes.get(id).map(|slot| {
            let times = (slot.created, slot.modified);
            (slot.id, slot.revision, slot.mark, slot.born, times)
        });
        let expected = model.get(&id).map(|header| {
            let times = (header.created, header.modified);
            (id, header.revision, mark(header), header.born, times)
        });
        prop_assert_eq!(slot, expected);
        let after = model.keys().copied().filter(|other| *other > id);
        prop_assert_eq!(
            indexes.ids_after(Some(id), 3),
            after.take(3).collect::<Vec<_>>()
        );
    }
    Ok(())
}

/// Compares what is found by a text, or by what begins so.
fn compare_text(indexes: &Indexes, model: &Model, text: &str) -> Result<(), TestCaseError> {
    for index in Index::ALL {
        let equal = oldest_first(model, |header| has(header, index, |key| key == text));
        let estimate = indexes.estimate(&Select::Key(index, text.to_owned()));
        prop_assert_eq!(estimate, equal.len());
        prop_assert_eq!(indexes.lookup(index, text), equal, "{:?} {}", index, text);
        for (id, header) in model {
            let slot = indexes.get(*id).unwrap();
            let expected = has(header, index, |key| key == text);
            prop_assert_eq!(slot.has_key(index, text), expected);
        }
    }
    for index in [Index::UserName, Index::DisplayName, Index::Email] {
        // Of a long key no more than 48 bytes are known.
        let prefix = text.as_bytes();
        let begun = oldest_first(model, |header| {
            has(header, index, |key| {
                let known = if key.len() > 64 { 48 } else { usize::MAX };
                let known = prefix.get(..known).unwrap_or(prefix);
                key.as_bytes().starts_with(known)
            })
        });
        let select = Select::Prefix(index, text.to_owned());
        prop_assert!(indexes.estimate(&select) >= begun.len());
        prop_assert_eq!(indexes.select(&select), begun, "{:?} {}", index, text);
    }
    Ok(())
}

/// The bytes of all slots, `count` numbers a stretch; `between` is called after each.
fn encoded(
    indexes: &mut Indexes,
    count: u32,
    mut between: impl FnMut(&mut Indexes),
) -> Vec<Vec<u8>> {
    let (mut stretches, mut from) = (Vec::new(), Some(0));
    while let Some(number) = from {
        let mut stretch = Vec::new();
        from = indexes.encode(number, count, &mut stretch);
        stretches.push(stretch);
        between(indexes);
    }
    stretches
}

/// Indexes of these stretches.
fn loaded(stretches: &[Vec<u8>]) -> Indexes {
    let mut loader = Loader::default();
    for stretch in stretches {
        let mut input = Input::new(stretch);
        loader.stretch(&mut input).unwrap();
        input.end().unwrap();
    }
    loader.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn they_find_what_a_list_would(writes in writes(), more in writes(), texts in prop::collection::vec(texts(), 3)) {
        let (mut indexes, mut model) = (Indexes::default(), Model::new());
        for (nth, one) in writes.into_iter().enumerate() {
            write(nth, one, &mut indexes, &mut model);
        }
        compare(&indexes, &model, &texts)?;
        // Built at once they are the same, and as good to go on with.
        let mut loader = Loader::default();
        for (id, header) in &model {
            loader.put(*id, mark(header), header);
        }
        let mut built = loader.finish();
        compare(&built, &model, &texts)?;
        let mut read = loaded(&encoded(&mut indexes, 7, |_indexes| {}));
        compare(&read, &model, &texts)?;
        for (nth, one) in more.into_iter().enumerate() {
            let mut copies = [model.clone(), model.clone()];
            write(1000 + nth, one.clone(), &mut built, &mut copies[0]);
            write(1000 + nth, one.clone(), &mut read, &mut copies[1]);
            write(1000 + nth, one, &mut indexes, &mut model);
        }
        for indexes in [&indexes, &built, &read] {
            compare(indexes, &model, &texts)?;
        }
    }

    #[test]
    fn what_was_written_meanwhile_is_written_again(writes in writes(), meanwhile in writes()) {
        let (mut indexes, mut model) = (Indexes::default(), Model::new());
        for (nth, one) in writes.into_iter().enumerate() {
            write(nth, one, &mut indexes, &mut model);
        }
        let mut old = model.clone();
        let mut coming = meanwhile.iter().cloned().enumerate();
        let stretches = encoded(&mut indexes, 2, |indexes| {
            for (nth, one) in coming.by_ref().take(9) {
                write(1000 + nth, one, indexes, &mut model);
            }
        });
        let mut read = loaded(&stretches);
        for (nth, (number, header)) in meanwhile.into_iter().enumerate().take(stretches.len() * 9) {
            // Whether it is there already depends on the moment; births stay those of the first time.
            match header {
                Some(mut header) => {
                    let born = u64::try_from(1000 + nth).unwrap();
                    header.born = old.get(&id(number)).map_or(born, |old| old.born);
                    read.put(id(number), mark(&header), &header);
                    old.insert(id(number), header);
                }
                None => {
                    read.remove(id(number));
                    old.remove(&id(number));
                }
            }
        }
        compare(&read, &model, &[])?;
    }

    #[test]
    fn damaged_bytes_are_refused(writes in writes(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let (mut indexes, mut model) = (Indexes::default(), Model::new());
        for (nth, one) in writes.into_iter().enumerate() {
            write(nth, one, &mut indexes, &mut model);
        }
        let whole = encoded(&mut indexes, u32::MAX, |_indexes| {}).remove(0);
        let cut = &whole[..at.index(whole.len())];
        let taken = Loader::default().stretch(&mut Input::new(cut));
        prop_assert!(taken.is_err());
        // A changed byte may be another good one; it must not be more than that.
        let mut changed = whole.clone();
        changed[at.index(whole.len())] = value;
        let mut loader = Loader::default();
        if loader.stretch(&mut Input::new(&changed)).is_ok() {
            loader.finish();
        }
    }
}

#[test]
fn many_of_one_name_are_found_as_others_are() {
    let mut indexes = Indexes::default();
    let header = |number: u32| Header {
        label: None,
        revision: Revision(1),
        created: Timestamp::from_millis(0),
        modified: Timestamp::from_millis(0),
        born: u64::from(number),
        history: 0,
        keys: vec![
            (Index::DisplayName, "the same".into()),
            (Index::Manager, "the same".into()),
        ],
    };
    let id = |number: u32| ResourceId::from_bytes(u128::from(number).to_be_bytes());
    let mark = Mark { crc: 0, bytes: 1 };
    for number in 0..20_000 {
        indexes.put(id(number), mark, &header(number));
    }
    for number in (0..20_000).filter(|number| number % 100 != 0) {
        indexes.remove(id(number));
    }
    let left: Vec<ResourceId> = (0..200).map(|number| id(number * 100)).collect();
    for index in [Index::DisplayName, Index::Manager] {
        assert_eq!(indexes.lookup(index, "the same"), left);
    }
}
