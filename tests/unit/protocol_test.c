/*
 * What becomes of a message, row by row: the command as decoded, or the exact answer.
 */
#include "base/random.h"
#include "tests/kit/test.h"
#include "ws/protocol.h"

#define AMOUNT_MAX INT64_C(1000000000000)

static void command_json(struct qb_text *text, const struct qb_command *command)
{
    qb_text_format(text, "{\"id\":%s", command->id);
    qb_text_json_text(text, "do", qb_command_name((enum qb_command_kind)command->kind));
    if (command->token != NULL) qb_text_json_text(text, "token", command->token);
    if (command->auction != 0) qb_text_json_id(text, "auction", command->auction);
    if (command->max != 0) qb_text_json_int(text, "max", command->max);
    if (command->currency[0] != '\0') qb_text_json_text(text, "currency", command->currency);
    if (command->key[0] != '\0') qb_text_json_text(text, "key", command->key);
    if (command->reason != 0) qb_text_json_int(text, "reason", command->reason);
    if (command->has_position) {
        qb_text_json_int(text, "epoch", command->epoch);
        qb_text_json_int(text, "seq", (int64_t)command->seq);
    }
    qb_text_string(text, "}");
}

static void answer_of(const char *message, size_t length, struct qb_text *text)
{
    struct qb_decoded decoded;

    qb_protocol_decode(message, length, AMOUNT_MAX, &decoded);
    if (decoded.error == QB_WIRE_ERROR_NONE) {
        command_json(text, &decoded.command);
    } else {
        const struct qb_error_answer answer = {
            .id = decoded.command.id,
            .code = qb_wire_error_code(decoded.error),
            .message = decoded.message,
            .is_temporary = qb_wire_error_is_temporary(decoded.error),
        };
        qb_protocol_error_json(text, &answer);
    }
    qb_decoded_fini(&decoded);
}

/* clang-format off */
/* What the rows share. `id` and `message` are JSON text. */
#define WRONG(id, code, message)                                                                   \
    "{\"id\":" id ",\"ok\":false,\"error\":{\"code\":\"" code "\",\"message\":\""                  \
    message                                                                                        \
    "\",\"temporary\":false}}"
#define LOT "\"auction\":\"0000000000007\""
#define BID(max)                                                                                   \
    "{\"id\":7,\"do\":\"bid\"," LOT ",\"max\":" max ",\"currency\":\"USD\",\"key\":\"k\"}"
#define TRY(currency) "{\"id\":7,\"do\":\"preview\"," LOT ",\"max\":5,\"currency\":" currency "}"
#define RESOLVE(key) "{\"id\":7,\"do\":\"resolve\"," LOT ",\"key\":" key "}"
#define PING(id)   "{\"id\":" id ",\"do\":\"ping\"}"
#define UNWATCH(auction) "{\"id\":1,\"do\":\"unwatch\",\"auction\":" auction "}"
#define AN_ID                                                                                      \
    "id must be an integer from 1 to 9007199254740991 or a string of 1 to 36 of A-Z a-z 0-9 _ -; " \
    "the answer repeats it."
#define AN_AMOUNT                                                                                  \
    "an integer in minor units from 1 to 1000000000000 (1050 is 10.50): no fraction, exponent or " \
    "quotes."
#define AN_AUCTION "the id of an auction: 13 characters, lower case."
#define A_KEY      "a string of 1 to 64 of A-Z a-z 0-9 _ -."
#define A_CURRENCY "currency must be a string of three capital letters, such as USD."
#define ALL        "auth, watch, unwatch, bid, preview, buy, retract, resolve, ping."
#define NOT_JSON(why)                                                                              \
    WRONG("null", "malformed", "The message is not JSON (" why                                     \
          "). Send one object, such as {\\\"id\\\":1,\\\"do\\\":\\\"ping\\\"}.")
#define NO_OBJECT                                                                                  \
    WRONG("null", "malformed", "The message is no JSON object. Send one, such as "                 \
          "{\\\"id\\\":1,\\\"do\\\":\\\"ping\\\"}.")

/* clang-format on */

static const struct {
    const char *says;
    const char *message;
    const char *answer;
} rows[] = {
    /* clang-format off */
    {"ping", PING("1"), PING("1")},
    {"largest id", PING("9007199254740991"), PING("9007199254740991")},
    {"text id", PING("\"a-Z_9\""), PING("\"a-Z_9\"")},
    {"id of 36", PING("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""),
     PING("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"")},
    {"white space", " \n\t{\"id\":1,\r\n\"do\":\"ping\"} ", PING("1")},
    {"escaped names", "{\"\\u0069d\":1,\"do\":\"p\\u0069ng\"}", PING("1")},
    {"auth", "{\"id\":1,\"do\":\"auth\",\"token\":\"t.t.t\"}",
     "{\"id\":1,\"do\":\"auth\",\"token\":\"t.t.t\"}"},
    {"watch", "{\"id\":1,\"do\":\"watch\"," LOT "}", "{\"id\":1,\"do\":\"watch\"," LOT "}"},
    {"watch from", "{\"id\":1,\"do\":\"watch\"," LOT ",\"epoch\":3,\"seq\":17}",
     "{\"id\":1,\"do\":\"watch\"," LOT ",\"epoch\":3,\"seq\":17}"},
    {"watch from nothing", "{\"id\":1,\"do\":\"watch\"," LOT ",\"epoch\":0,\"seq\":0}",
     "{\"id\":1,\"do\":\"watch\"," LOT ",\"epoch\":0,\"seq\":0}"},
    {"largest epoch and seq",
     "{\"id\":1,\"do\":\"watch\"," LOT ",\"epoch\":4294967295,\"seq\":9007199254740991}",
     "{\"id\":1,\"do\":\"watch\"," LOT ",\"epoch\":4294967295,\"seq\":9007199254740991}"},
    {"unwatch", UNWATCH("\"0000000000007\""), UNWATCH("\"0000000000007\"")},
    {"bid", "{\"id\":7,\"do\":\"bid\"," LOT ",\"max\":1050,\"currency\":\"USD\",\"key\":\"k1\"}",
     "{\"id\":7,\"do\":\"bid\"," LOT ",\"max\":1050,\"currency\":\"USD\",\"key\":\"k1\"}"},
    {"least and key of 64",
     "{\"id\":7,\"do\":\"bid\"," LOT ",\"max\":1,\"currency\":\"USD\",\"key\":\"kkkkkkkkkk"
     "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"}",
     "{\"id\":7,\"do\":\"bid\"," LOT ",\"max\":1,\"currency\":\"USD\",\"key\":\"kkkkkkkkkk"
     "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"}"},
    {"largest amount",
     "{\"id\":7,\"do\":\"bid\"," LOT ",\"max\":1000000000000,\"currency\":\"USD\",\"key\":\"k1\"}",
     "{\"id\":7,\"do\":\"bid\"," LOT ",\"max\":1000000000000,\"currency\":\"USD\",\"key\":\"k1\"}"},
    {"preview", TRY("\"JPY\""), TRY("\"JPY\"")},
    {"buy", "{\"id\":7,\"do\":\"buy\"," LOT ",\"price\":99,\"currency\":\"EUR\",\"key\":\"k-_9\"}",
     "{\"id\":7,\"do\":\"buy\"," LOT ",\"max\":99,\"currency\":\"EUR\",\"key\":\"k-_9\"}"},
    {"retract",
     "{\"id\":7,\"do\":\"retract\"," LOT ",\"reason\":\"seller_unreachable\",\"key\":\"k\"}",
     "{\"id\":7,\"do\":\"retract\"," LOT ",\"key\":\"k\",\"reason\":3}"},
    {"resolve", RESOLVE("\"k\""), RESOLVE("\"k\"")},
    {"empty", "", NOT_JSON("line 1, column 0: unexpected token near end of file")},
    {"a word", "ping", NOT_JSON("line 1, column 4: invalid token near 'ping'")},
    {"cut off", "{\"id\":1,\"do\":\"ping\"",
     NOT_JSON("line 1, column 19: '}' expected near end of file")},
    {"two values", "{\"id\":1,\"do\":\"ping\"}{}",
     NOT_JSON("line 1, column 21: end of file expected near '{'")},
    {"a comma too many", "{\"id\":1,\"do\":\"ping\",}",
     NOT_JSON("line 1, column 21: string or '}' expected near '}'")},
    {"single quotes", "{'id':1}", NOT_JSON("line 1, column 2: string or '}' expected near '''")},
    {"NaN", PING("NaN"), NOT_JSON("line 1, column 9: invalid token near 'NaN'")},
    {"leading zero", PING("01"), NOT_JSON("line 1, column 7: invalid token near '0'")},
    {"a comment", "{\"id\":1,/**/\"do\":\"ping\"}",
     NOT_JSON("line 1, column 9: string or '}' expected near '/'")},
    {"zero byte escaped", PING("\"a\\u0000\""),
     NOT_JSON("line 1, "
     "column 15: \\\\u0000 is not allowed without JSON_ALLOW_NUL near '\\\"a\\\\u0000\\\"'")},
    {"array", "[1]", NO_OBJECT},
    {"number", "5", NO_OBJECT},
    {"text", "\"ping\"", NO_OBJECT},
    {"null", "null", NO_OBJECT},
    {"depth 17", "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
     WRONG("null", "too_deep", "The JSON is nested deeper than 16. Commands are flat objects.")},
    {"same member twice", "{\"id\":1,\"do\":\"ping\",\"do\":\"auth\"}",
     WRONG("null", "duplicate_member", "A member came twice (line 1, "
     "column 24: duplicate object key near '\\\"do\\\"'). Send each one once.")},
    {"number of 20 digits", "{\"id\":1,\"do\":\"bid\",\"max\":99999999999999999999}",
     WRONG("null", "big_number", "A number is larger than any field takes (line 1, "
     "column 45: too big integer near '99999999999999999999').")},
    {"1e999", "{\"id\":1,\"do\":\"bid\",\"max\":1e999}",
     WRONG("null", "big_number", "A number is larger than any field takes (line 1, "
     "column 30: real number overflow near '1e999').")},
    {"no id", "{\"do\":\"ping\"}", WRONG("null", "bad_id", AN_ID)},
    {"id 0", PING("0"), WRONG("null", "bad_id", AN_ID)},
    {"id negative", PING("-1"), WRONG("null", "bad_id", AN_ID)},
    {"id above 2^53-1", PING("9007199254740992"), WRONG("null", "bad_id", AN_ID)},
    {"id fraction", PING("1.0"), WRONG("null", "bad_id", AN_ID)},
    {"id exponent", PING("1e2"), WRONG("null", "bad_id", AN_ID)},
    {"id null", PING("null"), WRONG("null", "bad_id", AN_ID)},
    {"id true", PING("true"), WRONG("null", "bad_id", AN_ID)},
    {"id empty", PING("\"\""), WRONG("null", "bad_id", AN_ID)},
    {"id of 37", PING("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""), WRONG("null", "bad_id", AN_ID)},
    {"id with quote", PING("\"a\\\"b\""), WRONG("null", "bad_id", AN_ID)},
    {"id object", PING("{}"), WRONG("null", "bad_id", AN_ID)},
    {"no do", "{\"id\":1}",
     WRONG("1", "missing_field", "The field do is missing. Use one of " ALL)},
    {"do number", "{\"id\":1,\"do\":2}",
     WRONG("1", "bad_field", "do must be a string: one of " ALL)},
    {"unknown do", "{\"id\":1,\"do\":\"sell\"}",
     WRONG("1", "unknown_command", "There is no command \\\"sell\\\". Use one of " ALL)},
    {"do in capitals", "{\"id\":\"q\",\"do\":\"PING\"}",
     WRONG("\"q\"", "unknown_command", "There is no command \\\"PING\\\". Use one of " ALL)},
    {"do long and odd",
     "{\"id\":1,\"do\":\"<\\\"\\\\\\nyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
     "yyyyyyy>\"}",
     WRONG("1", "unknown_command", 
     "There is no command \\\"\\u003c\\\"\\\\\\u000ayyyyyyyyyyyyyyyyyyyyyyyyyyyy\\\". "
     "Use one of " ALL)},
    {"user_id is refused (S31)",
     "{\"id\":1,\"do\":\"bid\"," LOT ",\"max\":1,\"currency\":\"USD\",\"key\":\"k\",\"user_id\":4}",
     WRONG("1", "unknown_field", "bid has no field \\\"user_id\\\". It takes auction, max, "
     "currency, key.")},
    {"field of another", "{\"id\":1,\"do\":\"ping\"," LOT "}",
     WRONG("1", "unknown_field", "ping has no field \\\"auction\\\". "
     "It takes no fields beside id and do.")},
    {"field of another 2",
     "{\"id\":1,\"do\":\"buy\"," LOT ",\"max\":1,\"currency\":\"USD\",\"key\":\"k\"}",
     WRONG("1", "unknown_field", "buy has no field \\\"max\\\". It takes auction, price, "
     "currency, key.")},
    {"no auction", "{\"id\":1,\"do\":\"unwatch\"}",
     WRONG("1", "missing_field", "The field auction is missing. It is " AN_AUCTION)},
    {"no max", "{\"id\":1,\"do\":\"bid\"," LOT ",\"currency\":\"USD\",\"key\":\"k\"}",
     WRONG("1", "missing_field", "The field max is missing. It is " AN_AMOUNT)},
    {"no key", "{\"id\":1,\"do\":\"bid\"," LOT ",\"max\":5,\"currency\":\"USD\"}",
     WRONG("1", "missing_field", "The field key is missing. It is " A_KEY)},
    {"no token", "{\"id\":1,\"do\":\"auth\"}",
     WRONG("1", "missing_field", "The field token is missing. "
     "It is a string of 1 to 4096 bytes.")},
    {"epoch without seq", "{\"id\":1,\"do\":\"watch\"," LOT ",\"epoch\":3}",
     WRONG("1", "missing_field", "The field seq is missing. "
     "Send epoch and seq of the last update seen, or neither.")},
    {"seq without epoch", "{\"id\":1,\"do\":\"watch\"," LOT ",\"seq\":3}",
     WRONG("1", "missing_field", "The field epoch is missing. "
     "Send epoch and seq of the last update seen, or neither.")},
    {"seq negative", "{\"id\":1,\"do\":\"watch\"," LOT ",\"epoch\":1,\"seq\":-3}",
     WRONG("1", "bad_field", "seq must be an integer from 0 to 9007199254740991.")},
    {"epoch too large", "{\"id\":1,\"do\":\"watch\"," LOT ",\"epoch\":4294967296,\"seq\":3}",
     WRONG("1", "bad_field", "epoch must be an integer from 0 to 4294967295.")},
    {"auction number", UNWATCH("7"), WRONG("1", "bad_field", "auction must be " AN_AUCTION)},
    {"auction short", UNWATCH("\"7\""), WRONG("1", "bad_field", "auction must be " AN_AUCTION)},
    {"auction capitals", UNWATCH("\"000000000000A\""),
     WRONG("1", "bad_field", "auction must be " AN_AUCTION)},
    {"auction 0", UNWATCH("\"0000000000000\""),
     WRONG("1", "bad_field", "auction must be " AN_AUCTION)},
    {"token empty", "{\"id\":1,\"do\":\"auth\",\"token\":\"\"}",
     WRONG("1", "bad_field", "token must be a string of 1 to 4096 bytes.")},
    {"token null", "{\"id\":1,\"do\":\"auth\",\"token\":null}",
     WRONG("1", "bad_field", "token must be a string of 1 to 4096 bytes.")},
    {"zero", BID("0"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"minus zero", BID("-0"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"negative", BID("-5"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"above the largest", BID("1000000000001"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"largest of 64 bits", BID("9223372036854775807"),
     WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"fraction", BID("10.50"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"whole fraction", BID("10.0"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"exponent", BID("1e3"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"capital exponent", BID("1E+3"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"amount as text", BID("\"1050\""), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"null amount", BID("null"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"true", BID("true"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"array amount", BID("[1050]"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"object amount", BID("{}"), WRONG("7", "bad_field", "max must be " AN_AMOUNT)},
    {"small letters", TRY("\"usd\""), WRONG("7", "bad_field", A_CURRENCY)},
    {"two letters", TRY("\"US\""), WRONG("7", "bad_field", A_CURRENCY)},
    {"four letters", TRY("\"USDX\""), WRONG("7", "bad_field", A_CURRENCY)},
    {"a space", TRY("\"U D\""), WRONG("7", "bad_field", A_CURRENCY)},
    {"a number for currency", TRY("840"), WRONG("7", "bad_field", A_CURRENCY)},
    {"key empty", RESOLVE("\"\""), WRONG("7", "bad_field", "key must be " A_KEY)},
    {"key of 65", RESOLVE("\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\""),
     WRONG("7", "bad_field", "key must be " A_KEY)},
    {"key with a space", RESOLVE("\"a b\""), WRONG("7", "bad_field", "key must be " A_KEY)},
    {"key not ASCII", RESOLVE("\"\303\251\""), WRONG("7", "bad_field", "key must be " A_KEY)},
    {"key number", RESOLVE("5"), WRONG("7", "bad_field", "key must be " A_KEY)},
    {"unknown reason", "{\"id\":7,\"do\":\"retract\"," LOT ",\"reason\":\"mood\",\"key\":\"k\"}",
     WRONG("7", "bad_field", "reason must be wrong_amount, "
     "description_changed or seller_unreachable.")},
    {"reason number", "{\"id\":7,\"do\":\"retract\"," LOT ",\"reason\":1,\"key\":\"k\"}",
     WRONG("7", "bad_field", "reason must be wrong_amount, "
     "description_changed or seller_unreachable.")},
    /* clang-format on */
};

QB_TEST(every_message_gets_its_exact_answer)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_text answer = {0};
        answer_of(rows[i].message, strlen(rows[i].message), &answer);
        QB_EXPECT_TEXT(answer.bytes, rows[i].answer, rows[i].says);
        qb_text_fini(&answer);
    }
}

static enum qb_wire_error error_of(const char *message, size_t length)
{
    struct qb_decoded decoded;

    qb_protocol_decode(message, length, AMOUNT_MAX, &decoded);
    enum qb_wire_error error = decoded.error;
    qb_decoded_fini(&decoded);
    return error;
}

/* An object with `count` members, the first two of which are id and do. */
static enum qb_wire_error error_of_members(int count)
{
    struct qb_text text = {0};

    qb_text_string(&text, "{\"id\":1,\"do\":\"ping\"");
    for (int i = 2; i < count; i++) qb_text_format(&text, ",\"m%d\":0", i);
    qb_text_string(&text, "}");
    enum qb_wire_error error = error_of(text.bytes, text.length);
    qb_text_fini(&text);
    return error;
}

QB_TEST(members_and_depth_are_limited)
{
    char deep[10001];

    QB_EXPECT_EQ(error_of_members(100), QB_WIRE_ERROR_UNKNOWN_FIELD, "100 members are read");
    QB_EXPECT_EQ(error_of_members(101), QB_WIRE_ERROR_TOO_MANY_MEMBERS, "101 are not");
    (void)memset(deep, '[', sizeof deep);
    QB_EXPECT_EQ(error_of(deep, sizeof deep), QB_WIRE_ERROR_TOO_DEEP, "ten thousand brackets");
    QB_EXPECT_EQ(error_of("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", 32), QB_WIRE_ERROR_MALFORMED,
                 "16 are only no object");
}

QB_TEST(a_token_may_have_4096_bytes)
{
    char message[QB_TOKEN_BYTES_MAX + 64];
    char token[QB_TOKEN_BYTES_MAX + 2];

    for (int more = 0; more < 2; more++) {
        (void)memset(token, 't', sizeof token);
        token[QB_TOKEN_BYTES_MAX + more] = '\0';
        int length =
            snprintf(message, sizeof message, "{\"id\":1,\"do\":\"auth\",\"token\":\"%s\"}", token);
        QB_EXPECT_EQ(error_of(message, (size_t)length),
                     more ? QB_WIRE_ERROR_BAD_FIELD : QB_WIRE_ERROR_NONE, "4096, 4097");
    }
}

QB_TEST(bytes_changed_at_random_never_break_the_decoder)
{
    struct qb_random random;

    qb_random_seed(&random, 1);
    for (int round = 0; round < 20000; round++) {
        char message[512];
        const char *from = rows[qb_random_below(&random, QB_COUNT(rows))].message;
        size_t length = strnlen(from, sizeof message);
        (void)memcpy(message, from, length);
        for (uint64_t i = qb_random_below(&random, 4); length > 0 && i > 0; i--) {
            message[qb_random_below(&random, length)] = (char)qb_random_below(&random, 256);
        }
        struct qb_text answer = {0};
        answer_of(message, length, &answer);
        QB_EXPECT(answer.length > 0, "always an answer");
        QB_EXPECT(qb_utf8_is_valid(answer.bytes, answer.length), "always UTF-8");
        qb_text_fini(&answer);
    }
}

QB_TEST(visitors_may_only_look)
{
    static const char *const open[] = {"auth", "watch", "unwatch", "ping"};

    for (int kind = 0; kind < QB_COMMAND_COUNT; kind++) {
        bool is_expected = false;
        const char *name = qb_command_name((enum qb_command_kind)kind);
        for (size_t i = 0; i < QB_COUNT(open); i++) {
            if (strcmp(open[i], name) == 0) is_expected = true;
        }
        QB_EXPECT_EQ(qb_command_is_open((enum qb_command_kind)kind), is_expected, name);
    }
    QB_EXPECT(!qb_command_is_open(QB_COMMAND_COUNT), "what has no row nobody may");
}

QB_TEST(docs_have_every_row)
{
    struct qb_text text = {0};

    qb_protocol_docs(&text);
    qb_error_docs(&text);
    QB_EXPECT(strstr(text.bytes, "| `watch` | `auction`, `epoch` (optional), `seq` (optional) |"),
              "a command");
    QB_EXPECT(strstr(text.bytes, "| `buy` | `price` | an integer"), "a field");
    for (int i = 1; i < QB_WIRE_ERROR_COUNT; i++) {
        const char *code = qb_wire_error_code((enum qb_wire_error)i);
        QB_EXPECT(strstr(text.bytes, code) != NULL, code);
    }
    qb_text_fini(&text);
}
