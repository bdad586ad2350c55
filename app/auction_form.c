#include "app/auction_form.h"

#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"

#define TIME_MS_MAX   INT64_C(4102444800000) /* the year 2100 */
#define LONGEST_US    (INT64_C(366) * 24 * 3600 * QB_SECOND_US)
#define SOFT_US       (120 * QB_SECOND_US)
#define HARD_AFTER_US (3600 * QB_SECOND_US)

static const struct {
    const char *name;
    const char *title;
} categories[] = {
#define QB_CATEGORY(name, title) {name, title},
#include "app/categories.def"
};

static const char *const members[] = {
    "title",       "description",   "category",        "image",        "currency",
    "start_price", "reserve",       "buy_now",         "starts_at_ms", "ends_at_ms",
    "duration_ms", "soft_close",    "increments",      "tick",         "self_raise",
    "retraction",  "reserve_style", "without_reserve", "private",
};
static const char *const soft_members[] = {"window_ms", "extend_ms", "max_extensions",
                                           "hard_end_ms"};

const char *qb_category_at(size_t index, const char **title)
{
    if (index >= QB_COUNT(categories)) return NULL;
    *title = categories[index].title;
    return categories[index].name;
}

bool qb_form_is_text(const char *text, size_t length, bool may_have_lines)
{
    if (!qb_utf8_is_valid(text, length)) return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool is_c1 = byte == 0xc2 && i + 1 < length && (unsigned char)text[i + 1] < 0xa0;
        if (byte == '\n' && may_have_lines) continue;
        if (byte < 0x20 || byte == 0x7f || is_c1) return false;
    }
    return true;
}

bool qb_form_members(const struct qb_json *body, const char *const *names, size_t count,
                     struct qb_error *problem)
{
    if (body == NULL || qb_json_kind_of(body) != QB_JSON_OBJECT)
        return qb_error_set(problem, "The body must be a JSON object.");
    for (size_t i = 0; i < qb_json_count(body); i++) {
        const struct qb_json *value = NULL;
        const char *name = qb_json_member_at(body, i, &value);
        size_t known = 0;
        while (known < count && strcmp(name, names[known]) != 0) known++;
        if (known == count)
            return qb_error_set(problem, "There is no member \"%.40s\" here. Leave it out.", name);
    }
    return true;
}

bool qb_form_text(const struct qb_json *body, const char *name, size_t least, bool may_have_lines,
                  char *text, size_t room, struct qb_error *problem)
{
    const struct qb_json *value = qb_json_member(body, name);
    size_t length = 0;

    text[0] = '\0';
    if (value == NULL && least == 0) return true;
    const char *string = qb_json_string(value, &length);
    if (string == NULL) return qb_error_set(problem, "%s: a text is needed here.", name);
    if (length < least || length >= room)
        return qb_error_set(problem, "%s: it must have %zu to %zu bytes.", name, least, room - 1);
    if (!qb_form_is_text(string, length, may_have_lines))
        return qb_error_set(problem, "%s: control characters are not allowed.", name);
    (void)memcpy(text, string, length);
    text[length] = '\0';
    return true;
}

/* An absent or null member leaves `number` as it is. */
static bool number_of(const struct qb_json *body, const char *name, int64_t least, int64_t most,
                      int64_t *number, struct qb_error *problem)
{
    const struct qb_json *value = qb_json_member(body, name);
    int64_t given = 0;

    if (value == NULL || qb_json_kind_of(value) == QB_JSON_NULL) return true;
    if (!qb_json_integer(value, &given) || given < least || given > most)
        return qb_error_set(problem, "%s: it must be an integer from %lld to %lld.", name,
                            (long long)least, (long long)most);
    *number = given;
    return true;
}

static bool truth_of(const struct qb_json *body, const char *name, bool *is_true,
                     struct qb_error *problem)
{
    const struct qb_json *value = qb_json_member(body, name);

    if (value == NULL || qb_json_bool(value, is_true)) return true;
    return qb_error_set(problem, "%s: it must be true or false.", name);
}

/* The member is one of two words; absent is the first one. */
static bool choice_of(const struct qb_json *body, const char *name, const char *first,
                      const char *second, uint8_t *choice, struct qb_error *problem)
{
    const struct qb_json *value = qb_json_member(body, name);
    const char *word = qb_json_string(value, NULL);

    *choice = word != NULL && strcmp(word, second) == 0;
    if (value == NULL || *choice == 1 || (word != NULL && strcmp(word, first) == 0)) return true;
    return qb_error_set(problem, "%s: it must be \"%s\" or \"%s\".", name, first, second);
}

static bool read_texts(const struct qb_json *body, struct qb_listing *listing,
                       struct qb_error *problem)
{
    uint8_t hash[QB_IMAGE_HASH_BYTES];
    const char *title = NULL;
    size_t index = 0;

    QB_TRY(qb_form_text(body, "title", 1, false, listing->title, sizeof listing->title, problem));
    QB_TRY(qb_form_text(body, "description", 0, true, listing->description,
                        sizeof listing->description, problem));
    QB_TRY(qb_form_text(body, "category", 1, false, listing->category, sizeof listing->category,
                        problem));
    const char *name = qb_category_at(index, &title);
    while (name != NULL && strcmp(name, listing->category) != 0)
        name = qb_category_at(++index, &title);
    if (name == NULL)
        return qb_error_set(problem, "category: unknown; GET /api/categories lists them.");
    QB_TRY(qb_form_text(body, "image", 0, false, listing->image, sizeof listing->image, problem));
    size_t length = strlen(listing->image);
    if (length > 0 &&
        (length != sizeof listing->image - 1 || !qb_hex_parse(listing->image, length, hash)))
        return qb_error_set(problem, "image: it must be the hash that POST /api/images gave.");
    return truth_of(body, "private", &listing->is_private, problem);
}

static bool read_amounts(const struct qb_json *body, const struct qb_auction_form *form,
                         struct qb_rules *rules, struct qb_error *problem)
{
    char preset[32];

    QB_TRY(
        qb_form_text(body, "currency", 3, false, rules->currency, sizeof rules->currency, problem));
    int decimals = qb_currency_decimals(rules->currency);
    if (decimals < 0)
        return qb_error_set(problem, "currency: unknown; GET /api/categories lists them.");
    QB_TRY(number_of(body, "start_price", 1, form->amount_max, &rules->start_price, problem));
    if (rules->start_price == 0)
        return qb_error_set(problem, "start_price: it is needed, in minor units.");
    QB_TRY(number_of(body, "reserve", 1, form->amount_max, &rules->reserve, problem));
    QB_TRY(number_of(body, "buy_now", 1, form->amount_max, &rules->buy_now, problem));
    QB_TRY(number_of(body, "tick", 1, form->amount_max, &rules->tick, problem));
    QB_TRY(qb_form_text(body, "increments", 0, false, preset, sizeof preset, problem));
    if (!qb_increment_preset(preset[0] != '\0' ? preset : "EBAY_US", decimals, &rules->table))
        return qb_error_set(problem, "increments: unknown; GET /api/categories lists them.");
    return true;
}

static bool read_soft_close(const struct qb_json *body, struct qb_rules *rules,
                            struct qb_error *problem)
{
    const struct qb_json *soft = qb_json_member(body, "soft_close");
    int64_t window_ms = SOFT_US / QB_MS_US;
    int64_t extend_ms = SOFT_US / QB_MS_US;
    int64_t extensions = 0;
    int64_t hard_ms = (rules->ends_at_us + HARD_AFTER_US) / QB_MS_US;

    if (soft != NULL && qb_json_kind_of(soft) == QB_JSON_NULL) return true;
    if (soft != NULL) {
        if (!qb_form_members(soft, soft_members, QB_COUNT(soft_members), problem))
            return qb_error_wrap(problem, "soft_close");
        QB_TRY(number_of(soft, "window_ms", 1000, 3600000, &window_ms, problem));
        QB_TRY(number_of(soft, "extend_ms", 1000, 3600000, &extend_ms, problem));
        QB_TRY(number_of(soft, "max_extensions", 1, 10000, &extensions, problem));
        QB_TRY(number_of(soft, "hard_end_ms", 1, TIME_MS_MAX, &hard_ms, problem));
    }
    rules->soft_window_us = window_ms * QB_MS_US;
    rules->soft_extend_us = extend_ms * QB_MS_US;
    rules->max_extensions = (uint32_t)extensions;
    rules->hard_end_us = hard_ms * QB_MS_US;
    return true;
}

static bool read_times(const struct qb_json *body, qb_time_us now_us, struct qb_rules *rules,
                       struct qb_error *problem)
{
    int64_t now_ms = now_us / QB_MS_US;
    int64_t starts_ms = now_ms;
    int64_t ends_ms = 0;
    int64_t duration_ms = 0;

    QB_TRY(number_of(body, "starts_at_ms", 1, TIME_MS_MAX, &starts_ms, problem));
    QB_TRY(number_of(body, "ends_at_ms", 1, TIME_MS_MAX, &ends_ms, problem));
    QB_TRY(number_of(body, "duration_ms", 1, LONGEST_US / QB_MS_US, &duration_ms, problem));
    if ((ends_ms == 0) == (duration_ms == 0))
        return qb_error_set(problem, "ends_at_ms: give either ends_at_ms or duration_ms.");
    if (starts_ms < now_ms) starts_ms = now_ms;
    if (duration_ms > 0) ends_ms = starts_ms + duration_ms;
    if (ends_ms <= starts_ms || ends_ms - starts_ms > LONGEST_US / QB_MS_US)
        return qb_error_set(problem, "ends_at_ms: it must be after the start, within 366 days.");
    rules->starts_at_us = starts_ms * QB_MS_US;
    rules->ends_at_us = ends_ms * QB_MS_US;
    return read_soft_close(body, rules, problem);
}

static bool read_ways(const struct qb_json *body, struct qb_rules *rules, struct qb_error *problem)
{
    QB_TRY(choice_of(body, "self_raise", "complete", "hold", &rules->self_raise, problem));
    QB_TRY(choice_of(body, "retraction", "reinstate", "no_revive", &rules->retraction, problem));
    QB_TRY(choice_of(body, "reserve_style", "hidden", "show_max", &rules->reserve_style, problem));
    return truth_of(body, "without_reserve", &rules->is_without_reserve, problem);
}

static void list(const struct qb_rules *rules, const struct qb_auction_form *form,
                 struct qb_listing *listing)
{
    (void)memcpy(listing->currency, rules->currency, sizeof listing->currency);
    listing->seller = form->seller;
    listing->created_us = form->now_us;
    listing->starts_at_us = rules->starts_at_us;
    listing->ends_at_us = rules->ends_at_us;
    listing->start_price = rules->start_price;
    listing->buy_now = rules->buy_now;
    listing->price = QB_AMOUNT_NONE;
    listing->final_price = QB_AMOUNT_NONE;
}

bool qb_auction_form_read(const struct qb_auction_form *form, const struct qb_json *body,
                          struct qb_rules *rules, struct qb_listing *listing,
                          struct qb_error *problem)
{
    const char *field = NULL;

    *listing = (struct qb_listing){0};
    *rules = (struct qb_rules){
        .version = QB_RULES_VERSION,
        .kind = QB_AUCTION_ENGLISH,
        .seller = form->seller,
        .tick = 1,
        .cap = form->amount_max,
        .reserve = QB_AMOUNT_NONE,
        .buy_now = QB_AMOUNT_NONE,
        .drain_us = 250 * QB_MS_US,
        .min_resume_us = 120 * QB_SECOND_US,
    };
    QB_TRY(qb_form_members(body, members, QB_COUNT(members), problem));
    QB_TRY(read_texts(body, listing, problem));
    QB_TRY(read_amounts(body, form, rules, problem));
    QB_TRY(read_times(body, form->now_us, rules, problem));
    QB_TRY(read_ways(body, rules, problem));
    qb_random_secret(rules->secret, sizeof rules->secret);
    const char *wrong = qb_rules_problem(rules, &field);
    if (wrong != NULL) return qb_error_set(problem, "%s: %s", field, wrong);
    list(rules, form, listing);
    return true;
}
