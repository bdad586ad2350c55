#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define TEXT_BYTES_MAX_DEFAULT (16U << 20)

static bool make_room(struct qb_text *text, size_t more)
{
    size_t most = text->bytes_max > 0 ? text->bytes_max : TEXT_BYTES_MAX_DEFAULT;
    size_t room = text->room > 0 ? text->room : 128;

    if (text->is_full || more > most || text->length > most - more) {
        text->is_full = true;
        return false;
    }
    while (room < text->length + more + 1) room *= 2;
    if (room == text->room) return true;
    char *bytes = realloc(text->bytes, room);
    if (bytes == NULL) {
        text->is_full = true;
        return false;
    }
    text->bytes = bytes;
    text->room = room;
    return true;
}

void qb_text_fini(struct qb_text *text)
{
    free(text->bytes);
    *text = (struct qb_text){.bytes_max = text->bytes_max};
}

void qb_text_add(struct qb_text *text, const char *bytes, size_t length)
{
    if (!make_room(text, length)) return;
    if (length > 0) (void)memcpy(&text->bytes[text->length], bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void qb_text_string(struct qb_text *text, const char *string)
{
    qb_text_add(text, string, strlen(string));
}

void qb_text_format(struct qb_text *text, const char *format, ...)
{
    va_list arguments;
    va_list again;

    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    QB_ASSERT(length >= 0);
    if (make_room(text, (size_t)length)) {
        (void)vsnprintf(&text->bytes[text->length], (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void qb_text_int(struct qb_text *text, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) digits[--at] = '-';
    qb_text_add(text, &digits[at], sizeof digits - at);
}

/* Length of the well-formed UTF-8 sequence at `at`, or 0 (RFC 3629). */
static size_t utf8_length(const uint8_t *at, size_t left)
{
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t length = 0;

    if (at[0] < 0x80) return 1;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        length = 2;
    else if (at[0] >= 0xe0 && at[0] <= 0xef)
        length = 3;
    else if (at[0] >= 0xf0 && at[0] <= 0xf4)
        length = 4;
    if (length == 0 || left < length) return 0;
    if (at[0] == 0xe0) low = 0xa0;
    if (at[0] == 0xed) high = 0x9f;
    if (at[0] == 0xf0) low = 0x90;
    if (at[0] == 0xf4) high = 0x8f;
    if (at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < length; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) return 0;
    }
    return length;
}

bool qb_utf8_is_valid(const char *bytes, size_t length)
{
    const uint8_t *at = (const uint8_t *)bytes;

    for (size_t i = 0; i < length;) {
        size_t step = utf8_length(&at[i], length - i);
        if (step == 0) return false;
        i += step;
    }
    return true;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '<';
}

void qb_text_json_string(struct qb_text *text, const char *string, size_t length)
{
    const uint8_t *at = (const uint8_t *)string;

    qb_text_add(text, "\"", 1);
    for (size_t i = 0; i < length;) {
        size_t run = 0;
        while (i + run < length && is_plain(at[i + run])) run++;
        if (run > 0) {
            qb_text_add(text, &string[i], run);
            i += run;
            continue;
        }
        size_t step = utf8_length(&at[i], length - i);
        bool is_separator = step == 3 && at[i] == 0xe2 && at[i + 1] == 0x80 &&
                            (at[i + 2] == 0xa8 || at[i + 2] == 0xa9);
        if (step == 0)
            qb_text_add(text, "\xef\xbf\xbd", 3);
        else if (is_separator)
            qb_text_add(text, at[i + 2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
        else if (step > 1)
            qb_text_add(text, &string[i], step);
        else if (at[i] == '"' || at[i] == '\\')
            qb_text_format(text, "\\%c", at[i]);
        else
            qb_text_format(text, "\\u%04x", at[i]);
        i += step > 0 ? step : 1;
    }
    qb_text_add(text, "\"", 1);
}

void qb_text_json_name(struct qb_text *text, const char *name)
{
    char last = text->length > 0 ? text->bytes[text->length - 1] : '{';

    if (last != '{' && last != '[') qb_text_add(text, ",", 1);
    qb_text_add(text, "\"", 1);
    qb_text_string(text, name);
    qb_text_add(text, "\":", 2);
}

void qb_text_json_text(struct qb_text *text, const char *name, const char *value)
{
    qb_text_json_name(text, name);
    if (value == NULL)
        qb_text_add(text, "null", 4);
    else
        qb_text_json_string(text, value, strlen(value));
}

void qb_text_json_int(struct qb_text *text, const char *name, int64_t value)
{
    qb_text_json_name(text, name);
    qb_text_int(text, value);
}

void qb_text_json_bool(struct qb_text *text, const char *name, bool value)
{
    qb_text_json_name(text, name);
    qb_text_string(text, value ? "true" : "false");
}

void qb_text_json_null(struct qb_text *text, const char *name)
{
    qb_text_json_text(text, name, NULL);
}

void qb_text_json_id(struct qb_text *text, const char *name, qb_id id)
{
    char words[QB_ID_TEXT_BYTES];

    qb_id_text(id, words);
    qb_text_json_text(text, name, id == 0 ? NULL : words);
}
