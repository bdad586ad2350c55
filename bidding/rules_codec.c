#include "bidding/rules_codec.h"

void qb_rules_put(struct qb_writer *writer, const struct qb_rules *rules, bool is_public)
{
    qb_put_uint(writer, rules->version, 2);
    qb_put_uint(writer, rules->kind, 1);
    qb_put_uint(writer, rules->self_raise, 1);
    qb_put_uint(writer, rules->retraction, 1);
    qb_put_uint(writer, rules->reserve_style, 1);
    qb_put_uint(writer, rules->is_without_reserve, 1);
    qb_put(writer, rules->currency, QB_CURRENCY_BYTES);
    qb_put_uint(writer, is_public ? 0 : rules->seller, 8);
    qb_put_int(writer, rules->tick);
    qb_put_int(writer, rules->cap);
    qb_put_int(writer, rules->start_price);
    if (!is_public) qb_put_int(writer, rules->reserve);
    qb_put_int(writer, rules->buy_now);
    qb_put_int(writer, rules->starts_at_us);
    qb_put_int(writer, rules->ends_at_us);
    qb_put_int(writer, rules->soft_window_us);
    qb_put_int(writer, rules->soft_extend_us);
    qb_put_uint(writer, rules->max_extensions, 4);
    qb_put_int(writer, rules->hard_end_us);
    qb_put_int(writer, rules->drain_us);
    qb_put_int(writer, rules->min_resume_us);
    if (!is_public) qb_put(writer, rules->secret, QB_SECRET_BYTES);
    qb_put_uint(writer, rules->table.percent, 1);
    qb_put_uint(writer, rules->table.row_count, 1);
    for (size_t i = 0; i < rules->table.row_count; i++) {
        qb_put_int(writer, rules->table.rows[i].from);
        qb_put_int(writer, rules->table.rows[i].step);
    }
}

void qb_rules_take(struct qb_reader *reader, struct qb_rules *rules)
{
    (void)memset(rules, 0, sizeof *rules);
    rules->version = (uint16_t)qb_take_uint(reader, 2);
    rules->kind = (uint8_t)qb_take_uint(reader, 1);
    rules->self_raise = (uint8_t)qb_take_uint(reader, 1);
    rules->retraction = (uint8_t)qb_take_uint(reader, 1);
    rules->reserve_style = (uint8_t)qb_take_uint(reader, 1);
    rules->is_without_reserve = qb_take_bool(reader);
    qb_take(reader, rules->currency, QB_CURRENCY_BYTES);
    rules->seller = qb_take_uint(reader, 8);
    rules->tick = qb_take_int(reader);
    rules->cap = qb_take_int(reader);
    rules->start_price = qb_take_int(reader);
    rules->reserve = qb_take_int(reader);
    rules->buy_now = qb_take_int(reader);
    rules->starts_at_us = qb_take_int(reader);
    rules->ends_at_us = qb_take_int(reader);
    rules->soft_window_us = qb_take_int(reader);
    rules->soft_extend_us = qb_take_int(reader);
    rules->max_extensions = (uint32_t)qb_take_uint(reader, 4);
    rules->hard_end_us = qb_take_int(reader);
    rules->drain_us = qb_take_int(reader);
    rules->min_resume_us = qb_take_int(reader);
    qb_take(reader, rules->secret, QB_SECRET_BYTES);
    rules->table.percent = (uint8_t)qb_take_uint(reader, 1);
    rules->table.row_count = (uint8_t)qb_take_uint(reader, 1);
    if (rules->table.row_count > QB_INCREMENT_ROWS_MAX) {
        reader->is_bad = true;
        return;
    }
    for (size_t i = 0; i < rules->table.row_count; i++) {
        rules->table.rows[i].from = qb_take_int(reader);
        rules->table.rows[i].step = qb_take_int(reader);
    }
}
