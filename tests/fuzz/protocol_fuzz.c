#include "base/json.h"
#include "bidding/entry.h"
#include "tests/fuzz/fuzz.h"
#include "ws/protocol.h"

/* Whatever a client sends becomes a command within its limits, or an error answer that is JSON. */

#define AMOUNT_MAX INT64_C(1000000000000)

static void check_answer(const struct qb_decoded *decoded)
{
    const struct qb_json_limits limits = {4096, 4, 16};
    const struct qb_error_answer answer = {
        .id = decoded->command.id,
        .code = qb_wire_error_code(decoded->error),
        .message = decoded->message,
        .is_temporary = qb_wire_error_is_temporary(decoded->error),
    };
    struct qb_text text = {0};
    struct qb_error error = {{0}};

    QB_ASSERT(decoded->message[0] != '\0');
    qb_protocol_error_json(&text, &answer);
    struct qb_json *root = qb_json_parse(text.bytes, text.length, &limits, &error);
    QB_ASSERT(root != NULL);
    qb_json_free(&root);
    qb_text_fini(&text);
}

static void check_command(const struct qb_command *command)
{
    bool has_amount = command->kind == QB_COMMAND_BID || command->kind == QB_COMMAND_BUY ||
                      command->kind == QB_COMMAND_PREVIEW;
    bool has_key = command->kind == QB_COMMAND_BID || command->kind == QB_COMMAND_BUY ||
                   command->kind == QB_COMMAND_RETRACT || command->kind == QB_COMMAND_RESOLVE;

    QB_ASSERT(command->kind < QB_COMMAND_COUNT);
    QB_ASSERT(strcmp(command->id, "null") != 0);
    QB_ASSERT(!has_amount || (command->max >= 1 && command->max <= AMOUNT_MAX));
    QB_ASSERT(!has_amount || strlen(command->currency) == 3);
    QB_ASSERT(!has_key || qb_key_is_valid(command->key, strlen(command->key)));
    if (command->kind == QB_COMMAND_AUTH) QB_ASSERT(strlen(command->token) <= QB_TOKEN_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct qb_decoded decoded;
    char *text = malloc(length + 1); /* as a session hands it on: with a zero byte behind */

    QB_ASSERT(text != NULL);
    if (length > 0) (void)memcpy(text, bytes, length);
    text[length] = '\0';
    qb_protocol_decode(text, length, AMOUNT_MAX, &decoded);
    if (decoded.error == QB_WIRE_ERROR_NONE)
        check_command(&decoded.command);
    else
        check_answer(&decoded);
    qb_decoded_fini(&decoded);
    free(text);
    return 0;
}
