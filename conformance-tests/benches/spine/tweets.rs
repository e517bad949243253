//! The documents that the bench reads: tweet-like, about 1.5 KB of BSON, the same in every run.

use bson::{Bson, Document, doc};
use serde::Deserialize;

const WORDS: [&str; 24] = [
    "morning", "harbour", "signal", "over", "the", "quiet", "a", "river", "café", "builds",
    "lantern", "and", "is", "weather", "train", "to", "market", "paper", "of", "green", "north",
    "window", "under", "stone",
];

/// What a program that analyses tweets keeps of them; the other fields are skipped.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoding the fields is what is measured")]
pub(crate) struct Tweet {
    #[serde(rename = "_id")]
    id: i64,
    created_at: String,
    text: String,
    lang: String,
    user: User,
    entities: Entities,
    retweet_count: i32,
    favorite_count: i32,
    possibly_sensitive: bool,
    in_reply_to_status_id: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoding the fields is what is measured")]
struct User {
    id: i64,
    name: String,
    screen_name: String,
    location: Option<String>,
    description: String,
    followers_count: i32,
    friends_count: i32,
    verified: bool,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoding the fields is what is measured")]
struct Entities {
    hashtags: Vec<Hashtag>,
    user_mentions: Vec<Mention>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoding the fields is what is measured")]
struct Hashtag {
    text: String,
    indices: Vec<i32>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoding the fields is what is measured")]
struct Mention {
    id: i64,
    screen_name: String,
    name: String,
}

/// The tweet with this number, which is its `_id`.
pub(crate) fn tweet(number: i64) -> Document {
    let mut numbers = Numbers(number.unsigned_abs());
    let reply_to = match numbers.below(3) {
        0 => Bson::Int64(1_000_000_000 + i64::from(numbers.below(1_000_000))),
        _ => Bson::Null,
    };
    doc! {
        "_id": number,
        "created_at": format!("Mon Sep {:02} 20:{:02}:{:02} +0000 2025",
            1 + numbers.below(28), numbers.below(60), numbers.below(60)),
        "id_str": number.to_string(),
        "text": numbers.words(17),
        "source": "<a href=\"https://example.org/app\" rel=\"nofollow\">An App for Phones</a>",
        "truncated": false,
        "in_reply_to_status_id": reply_to,
        "in_reply_to_screen_name": Bson::Null,
        "user": user(&mut numbers),
        "geo": Bson::Null,
        "coordinates": Bson::Null,
        "place": Bson::Null,
        "contributors": Bson::Null,
        "entities": entities(&mut numbers),
        "is_quote_status": false,
        "retweet_count": numbers.below(10_000),
        "favorite_count": numbers.below(10_000),
        "favorited": false,
        "retweeted": false,
        "possibly_sensitive": numbers.below(10) == 0,
        "lang": "en",
    }
}

fn user(numbers: &mut Numbers) -> Document {
    let id = i64::from(numbers.below(2_000_000_000));
    doc! {
        "id": id,
        "id_str": id.to_string(),
        "name": numbers.words(2),
        "screen_name": format!("user_{id}"),
        "location": numbers.words(2),
        "description": numbers.words(11),
        "url": Bson::Null,
        "protected": false,
        "followers_count": numbers.below(100_000),
        "friends_count": numbers.below(5_000),
        "listed_count": numbers.below(500),
        "created_at": "Sat Apr 05 11:32:09 +0000 2014",
        "favourites_count": numbers.below(20_000),
        "geo_enabled": true,
        "verified": numbers.below(50) == 0,
        "statuses_count": numbers.below(90_000),
        "profile_background_color": "C0DEED",
        "profile_image_url": format!("https://images.example.org/profile/{id}/normal.jpeg"),
        "profile_link_color": "1DA1F2",
        "default_profile": true,
        "following": Bson::Null,
    }
}

fn entities(numbers: &mut Numbers) -> Document {
    let start = numbers.below(60);
    let mention = i64::from(numbers.below(2_000_000_000));
    doc! {
        "hashtags": [
            { "text": numbers.words(1), "indices": [start, start + 9] },
            { "text": numbers.words(1), "indices": [start + 20, start + 31] },
        ],
        "urls": [{
            "url": "https://t.example.org/Xq29bWz",
            "expanded_url": format!("https://www.example.org/articles/{}", numbers.below(100_000)),
            "indices": [start + 33, start + 56],
        }],
        "user_mentions": [{
            "screen_name": format!("user_{mention}"),
            "name": numbers.words(2),
            "id": mention,
            "indices": [0, 12],
        }],
        "symbols": [],
    }
}

/// A sequence of numbers that its start decides (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u32) -> i32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        i32::try_from((mixed ^ (mixed >> 31)) % u64::from(limit)).unwrap_or_default()
    }

    fn words(&mut self, count: usize) -> String {
        let word = |_| WORDS[usize::try_from(self.below(24)).unwrap_or_default()];
        (0..count).map(word).collect::<Vec<_>>().join(" ")
    }
}
