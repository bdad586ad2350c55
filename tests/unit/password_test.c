/*
 * Passwords: which are taken, and that a verifier fits its own password only (S17, S19, S20).
 */
#include "app/password.h"
#include "tests/kit/test.h"

static char longest[QB_PASSWORD_BYTES_MAX + 2];

static const struct {
    const char *says;
    const char *password;
    size_t length;
    bool is_good;
} rows[] = {
    /* clang-format off */
    {"empty",              "",                  0,   false},
    {"seven bytes",        "1234567",           7,   false},
    {"eight bytes",        "12345678",          8,   true},
    {"the longest",        longest,             128, true},
    {"one more",           longest,             129, false},
    {"zero inside",        "1234\0" "5678",     9,   false},
    {"zero at the end",    "12345678",          9,   false},
    {"eight in UTF-8",     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 8, true},
    {"spaces",             "        ",          8,   true},
    {"cut UTF-8",          "1234567\xc3",       8,   false},
    {"overlong UTF-8",     "123456\xc0\xaf",    8,   false},
    {"surrogate",          "12345\xed\xa0\x80", 8,   false},
    /* clang-format on */
};

QB_TEST(a_password_is_judged_before_it_is_hashed)
{
    (void)memset(longest, 'x', sizeof longest - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool is_good = qb_password_problem(rows[i].password, rows[i].length) == NULL;
        QB_EXPECT_EQ(is_good, rows[i].is_good, rows[i].says);
    }
}

QB_TEST(a_verifier_fits_its_own_password_only)
{
    char one[QB_PASSWORD_VERIFIER_BYTES];
    char two[QB_PASSWORD_VERIFIER_BYTES];
    bool is_outdated = true;

    QB_EXPECT(qb_password_hash("correct horse", 13, one), "hashed");
    QB_EXPECT(qb_password_hash("correct horse", 13, two), "hashed again");
    QB_EXPECT(strcmp(one, two) != 0, "each has its own salt");
    QB_EXPECT(strncmp(one, "$scrypt$ln=14,r=8,p=5$", 22) == 0, "the parameters are told");
    QB_EXPECT(qb_password_verify("correct horse", 13, one, &is_outdated), "the right one");
    QB_EXPECT(!is_outdated, "of today");
    QB_EXPECT(!qb_password_verify("correct hors", 12, one, &is_outdated), "one byte short");
    QB_EXPECT(!qb_password_verify("correct horsE", 13, one, &is_outdated), "another case");
}

/* A known answer, from Python's hashlib.scrypt. */
static const char older[] =
    "$scrypt$ln=14,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$UxYE_nON8zrmLNK5lL_j9XPtKMDZ5VR_h1tkExic5Zo";

QB_TEST(older_parameters_still_fit_and_ask_for_a_new_hash)
{
    bool is_outdated = false;

    QB_EXPECT(qb_password_verify("pleaseletmein", 13, older, &is_outdated), "a known answer");
    QB_EXPECT(is_outdated, "made with less");
}

QB_TEST(an_unreadable_verifier_fits_nothing)
{
    static const char *const texts[] = {
        NULL,
        "",
        "$scrypt$",
        "$scrypt$ln=14,r=8,p=5$$",
        "$scrypt$ln=99,r=8,p=5$AAECAwQFBgcICQoLDA0ODw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=14,r=8,p=5$AAECAwQFBgcICQoLDA0ODw$AAAA",
        "$argon2$ln=14,r=8,p=5$AAECAwQFBgcICQoLDA0ODw$AAAA",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bool is_outdated = false;
        QB_EXPECT(!qb_password_verify("12345678", 8, texts[i], &is_outdated), "nothing fits");
    }
}
