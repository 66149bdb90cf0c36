/* SPDX-License-Identifier: MIT */
#include "agreement.h"

#include <inttypes.h>
#include <sodium.h>

#include "util.h"

/* What comes of a difference, by the beginning of a key; the first that fits. */
static const struct {
	const char *key, *outcome;
} outcomes[] = {
	{"files.cache", "what the other changes is seen late where it is private"},
	{"tokens.keys", "a token that one takes the other refuses"},
	{"tokens.audience", "a token that one takes the other refuses"},
	{"release.", "what one refuses the other serves"},
	{"limits.", "what one refuses the other grants"},
	{"retention.", "the shorter one removes what the other would keep"},
	{"", "one breaks what the other promises"},
};

static const char *outcome_of(const char *key)
{
	size_t i = 0;
	while (strncmp(key, outcomes[i].key, strlen(outcomes[i].key)) != 0)
		i++;
	return outcomes[i].outcome;
}

static void add(void *ctx, const char *key, const char *value)
{
	struct heartbeat *h = ctx;
	if (h->n_settings == HEARTBEAT_SETTINGS_MAX || strlen(key) > HEARTBEAT_KEY_MAX)
		abort(); /* the configuration has more keys than were thought of */
	struct heartbeat_setting *s = &h->settings[h->n_settings++];
	snprintf(s->key, sizeof(s->key), "%s", key);
	snprintf(s->value, sizeof(s->value), "%.*s", HEARTBEAT_VALUE_MAX, value);
}

void agreement_describe(const struct config *c, struct keyring *keys, struct heartbeat *h)
{
	char digest[KEYRING_DIGEST_LEN + 1];
	keyring_digest(keys, digest);
	add(h, "tokens.keys", digest);
	config_each_agreed(c, add, h);
}

static const char *setting(const struct heartbeat *h, const char *key)
{
	for (size_t i = 0; i < h->n_settings; i++)
		if (strcmp(h->settings[i].key, key) == 0)
			return h->settings[i].value;
	return NULL;
}

/* Whether this is new; and remembers it. */
static bool is_news(struct agreement *a, const struct heartbeat *other, const char *what, const char *ours,
		    const char *theirs)
{
	const char *parts[] = {other->name, what, ours, theirs};
	crypto_generichash_state state;
	uint64_t hash;
	crypto_generichash_init(&state, NULL, 0, crypto_generichash_BYTES_MIN);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		crypto_generichash_update(&state, (const unsigned char *)parts[i], strlen(parts[i]) + 1);
	unsigned char full[crypto_generichash_BYTES_MIN];
	crypto_generichash_final(&state, full, sizeof(full));
	memcpy(&hash, full, sizeof(hash));
	hash |= 1;
	for (size_t i = 0; i < AGREEMENT_TOLD_MAX; i++)
		if (a->told[i] == hash)
			return false;
	a->told[a->next++ % AGREEMENT_TOLD_MAX] = hash;
	return true;
}

/* exp is exact, by each one's own clock. Only who is behind can tell: a beat of the past may just be an old one. */
static bool clock_differs(struct agreement *a, const struct heartbeat *own, const struct heartbeat *other, char *line)
{
	if (other->beat - own->beat <= AGREEMENT_CLOCK || !is_news(a, other, "clock", "", ""))
		return false;
	snprintf(line, AGREEMENT_LINE_MAX,
		 "instance %s: its clock is %" PRId64 " s ahead of this one's: tokens end there before they end here",
		 other->name, other->beat - own->beat);
	return true;
}

/* Both private is agreement, and wrong. */
static bool both_private(struct agreement *a, const struct heartbeat *own, const struct heartbeat *other, char *line)
{
	const char *ours = setting(own, "files.cache"), *theirs = setting(other, "files.cache");
	if (!ours || !theirs || strcmp(ours, "private") != 0 || strcmp(theirs, "private") != 0 ||
	    !is_news(a, other, "files.cache", ours, theirs))
		return false;
	snprintf(
		line, AGREEMENT_LINE_MAX,
		"instance %s serves this store too, and files.cache is private on both: what the other renames away is "
		"still found here under its old name; set it to shared",
		other->name);
	return true;
}

static bool setting_differs(struct agreement *a, const struct heartbeat_setting *ours, const struct heartbeat *other,
			    char *line)
{
	const char *theirs = setting(other, ours->key);
	if (!theirs || strcmp(ours->value, theirs) == 0 || !is_news(a, other, ours->key, ours->value, theirs))
		return false;
	snprintf(line, AGREEMENT_LINE_MAX, "instance %s: %s is %s there and %s here: %s", other->name, ours->key,
		 theirs, ours->value, outcome_of(ours->key));
	return true;
}

bool agreement_differs(struct agreement *a, const struct heartbeat *own, const struct heartbeat *other, size_t *at,
		       char line[static AGREEMENT_LINE_MAX])
{
	if (other->stopped || own->beat - other->beat > AGREEMENT_ALIVE)
		return false;
	for (size_t i = *at; i < own->n_settings + 2; i++) {
		*at = i + 1;
		if (i == 0   ? clock_differs(a, own, other, line)
		    : i == 1 ? both_private(a, own, other, line)
			     : setting_differs(a, &own->settings[i - 2], other, line))
			return true;
	}
	return false;
}
