#include "app/listing_json.h"

#include "base/clock.h"

static void amount(struct qb_text *text, const char *name, int64_t value)
{
    if (value == QB_AMOUNT_NONE)
        qb_text_json_null(text, name);
    else
        qb_text_json_int(text, name, value);
}

static const char *status_of(const struct qb_listing *listing, qb_time_us now_us)
{
    static const char *const names[] = {"scheduled", "open",   "paused",
                                        "sold",      "unsold", "cancelled"};

    if (listing->status == QB_STATUS_OPEN) {
        if (now_us < listing->starts_at_us) return "scheduled";
        if (now_us >= listing->ends_at_us) return "closing";
    }
    return listing->status < QB_COUNT(names) ? names[listing->status] : NULL;
}

static void head_json(struct qb_text *text, const struct qb_listing *listing,
                      const char *seller_name)
{
    qb_text_json_id(text, "id", listing->id);
    qb_text_json_text(text, "title", listing->title);
    qb_text_json_text(text, "category", listing->category);
    qb_text_json_text(text, "image", listing->image[0] != '\0' ? listing->image : NULL);
    qb_text_json_text(text, "currency", listing->currency);
    qb_text_json_id(text, "seller", listing->seller);
    qb_text_json_text(text, "seller_name", seller_name);
    qb_text_json_int(text, "start_price", listing->start_price);
    amount(text, "buy_now", listing->buy_now);
    qb_text_json_int(text, "starts_at_ms", listing->starts_at_us / QB_MS_US);
    qb_text_json_int(text, "created_ms", listing->created_us / QB_MS_US);
    qb_text_json_bool(text, "private", listing->is_private);
}

void qb_listing_json(struct qb_text *text, const struct qb_listing *listing,
                     const char *seller_name, qb_time_us now_us)
{
    bool is_sold = listing->final_price != QB_AMOUNT_NONE;

    head_json(text, listing, seller_name);
    qb_text_json_int(text, "ends_at_ms", listing->ends_at_us / QB_MS_US);
    qb_text_json_text(text, "status", status_of(listing, now_us));
    amount(text, "price", is_sold ? listing->final_price : listing->price);
    qb_text_json_int(text, "bids", listing->bids);
}

static void table_json(struct qb_text *text, const struct qb_increment_table *table)
{
    qb_text_json_name(text, "increments");
    qb_text_string(text, "[");
    for (unsigned i = 0; i < table->row_count; i++)
        qb_text_format(text, "%s{\"from\":%lld,\"step\":%lld}", i > 0 ? "," : "",
                       (long long)table->rows[i].from, (long long)table->rows[i].step);
    qb_text_string(text, "]");
    if (table->percent > 0) qb_text_json_int(text, "increment_percent", table->percent);
}

static void soft_close_json(struct qb_text *text, const struct qb_rules *rules)
{
    qb_text_json_name(text, "soft_close");
    if (rules->soft_window_us == 0) {
        qb_text_string(text, "null");
        return;
    }
    qb_text_string(text, "{");
    qb_text_json_int(text, "window_ms", rules->soft_window_us / QB_MS_US);
    qb_text_json_int(text, "extend_ms", rules->soft_extend_us / QB_MS_US);
    if (rules->max_extensions > 0) qb_text_json_int(text, "max_extensions", rules->max_extensions);
    if (rules->hard_end_us > 0)
        qb_text_json_int(text, "hard_end_ms", rules->hard_end_us / QB_MS_US);
    qb_text_string(text, "}");
}

/* All that a bidder must know to reckon as the server does; the reserve only whether there is one,
 * its amount and the secret never. */
static void rules_json(struct qb_text *text, const struct qb_rules *rules)
{
    qb_text_string(text, "{");
    qb_text_json_int(text, "version", rules->version);
    qb_text_json_int(text, "tick", rules->tick);
    qb_text_json_int(text, "cap", rules->cap);
    table_json(text, &rules->table);
    soft_close_json(text, rules);
    qb_text_json_bool(text, "reserve", rules->reserve != QB_AMOUNT_NONE);
    qb_text_json_text(text, "reserve_style",
                      rules->reserve_style == QB_RESERVE_SHOW_MAX ? "show_max" : "hidden");
    qb_text_json_text(text, "self_raise",
                      rules->self_raise == QB_SELF_RAISE_HOLD ? "hold" : "complete");
    qb_text_json_text(text, "retraction",
                      rules->retraction == QB_RETRACTION_NO_REVIVE ? "no_revive" : "reinstate");
    qb_text_json_bool(text, "without_reserve", rules->is_without_reserve);
    qb_text_json_int(text, "drain_ms", rules->drain_us / QB_MS_US);
    qb_text_string(text, "}");
}

void qb_catalogue_json(struct qb_text *text, const struct qb_listing *listing,
                       const char *seller_name, const struct qb_lot *lot)
{
    qb_text_string(text, "{");
    head_json(text, listing, seller_name);
    qb_text_json_text(text, "description", listing->description);
    qb_text_json_int(text, "ends_at_ms",
                     (lot != NULL ? lot->rules.ends_at_us : listing->ends_at_us) / QB_MS_US);
    qb_text_json_name(text, "rules");
    if (lot != NULL)
        rules_json(text, &lot->rules);
    else
        qb_text_string(text, "null");
    qb_text_string(text, "}");
}

bool qb_catalogue_differs(const struct qb_rules *rules, const struct qb_lot_moment *before,
                          const struct qb_lot_moment *after)
{
    /* An end takes it off, too. */
    bool is_offer_same =
        rules->buy_now == QB_AMOUNT_NONE ||
        (before->is_buy_now_gone == after->is_buy_now_gone && before->status == after->status);
    bool is_reserve_same =
        (before->reserve == QB_AMOUNT_NONE) == (after->reserve == QB_AMOUNT_NONE);

    return !is_offer_same || !is_reserve_same || before->hard_end_us != after->hard_end_us;
}
