/* SPDX-License-Identifier: MIT */
#include "proto/rfc3339.h"

#include <errno.h>

#include "tap.h"
#include "util.h"

static const struct {
	const char *text;
	int64_t sec;
	uint32_t nsec;
} good[] = {
	{"1970-01-01T00:00:00Z", 0, 0},
	{"1970-01-01T00:00:00+00:00", 0, 0},
	{"2001-09-09T01:46:40Z", 1000000000, 0},
	{"2000-02-29T00:00:00Z", 951782400, 0},
	{"2024-02-29T23:59:59Z", 1709251199, 0},
	{"2024-03-01T00:00:00Z", 1709251200, 0},
	{"2100-03-01T00:00:00Z", 4107542400, 0},
	{"9999-12-31T23:59:59Z", 253402300799, 0},
	{"2026-01-15T12:00:00.5Z", 1768478400, 500000000},
	{"2026-01-15T12:00:00.000000001Z", 1768478400, 1},
	{"2026-01-15T12:00:00.0Z", 1768478400, 0},
	{"2026-01-15T13:30:00+01:30", 1768478400, 0},
	{"2026-01-15T06:30:00-05:30", 1768478400, 0},
	{"2026-01-14T12:01:00-23:59", 1768478400, 0},
	{"2026-01-16T11:59:00.25+23:59", 1768478400, 250000000},
};

static const struct {
	const char *why, *text;
} refused[] = {
	{"the empty string", ""},
	{"a date alone", "2026-01-15"},
	{"no zone", "2026-01-15T12:00:00"},
	{"no zone after a fraction", "2026-01-15T12:00:00.5"},
	{"a lower-case t", "2026-01-15t12:00:00Z"},
	{"a lower-case z", "2026-01-15T12:00:00z"},
	{"a space for the T", "2026-01-15 12:00:00Z"},
	{"-00:00", "2026-01-15T12:00:00-00:00"},
	{"an offset without a colon", "2026-01-15T12:00:00+0100"},
	{"an offset of hours alone", "2026-01-15T12:00:00+01"},
	{"an offset of 24 hours", "2026-01-15T12:00:00+24:00"},
	{"an offset of 60 minutes", "2026-01-15T12:00:00+01:60"},
	{"an offset with a second sign", "2026-01-15T12:00:00+-1:00"},
	{"a leap second", "2016-12-31T23:59:60Z"},
	{"hour 24", "2026-01-15T24:00:00Z"},
	{"minute 60", "2026-01-15T12:60:00Z"},
	{"month 0", "2026-00-15T12:00:00Z"},
	{"month 13", "2026-13-15T12:00:00Z"},
	{"day 0", "2026-01-00T12:00:00Z"},
	{"30 February", "2024-02-30T12:00:00Z"},
	{"29 February of a common year", "2026-02-29T12:00:00Z"},
	{"29 February 2100", "2100-02-29T12:00:00Z"},
	{"31 April", "2026-04-31T12:00:00Z"},
	{"year 1969", "1969-12-31T23:59:59Z"},
	{"year 1969, though 1970 in UTC", "1969-12-31T23:59:59-00:01"},
	{"a time before 1970 in UTC", "1970-01-01T00:00:00+00:01"},
	{"a time after 9999 in UTC", "9999-12-31T23:59:59-00:01"},
	{"a year of five digits", "10000-01-01T00:00:00Z"},
	{"ten fraction digits", "2026-01-15T12:00:00.0123456789Z"},
	{"a fraction without digits", "2026-01-15T12:00:00.Z"},
	{"a comma for the point", "2026-01-15T12:00:00,5Z"},
	{"a sign in a field", "2026-01-15T12:00:+1Z"},
	{"a space in a field", "2026-01-15T12:00: 1Z"},
	{"junk at the end", "2026-01-15T12:00:00Zx"},
	{"a newline at the end", "2026-01-15T12:00:00Z\n"},
	{"white space in front", " 2026-01-15T12:00:00Z"},
};

int main(void)
{
	char text[RFC3339_LEN + 1];
	uint32_t nsec;
	int64_t sec;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		sec = -1;
		nsec = 0;
		int r = rfc3339_parse(good[i].text, strlen(good[i].text), &sec, &nsec);
		ok(r == 0 && sec == good[i].sec && nsec == good[i].nsec, "%s is %lld seconds and %u ns", good[i].text,
		   (long long)good[i].sec, good[i].nsec);
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		sec = -7;
		nsec = 7;
		int r = rfc3339_parse(refused[i].text, strlen(refused[i].text), &sec, &nsec);
		ok(r == -EINVAL && sec == -7 && nsec == 7, "%s is refused", refused[i].why);
	}

	/* Odd steps, so that every hour, day and month comes by; some 80,000 times. */
	int wrong = 0;
	for (int64_t t = 0; t <= 253402300799; t += 3141593)
		wrong += rfc3339_format(t, text) || rfc3339_parse(text, RFC3339_LEN, &sec, &nsec) || sec != t || nsec;
	is_int(wrong, 0, "what is written is read back, from 1970 to 9999");
	is_int(rfc3339_format(1768478400, text), 0, "a time is written");
	is_str(text, "2026-01-15T12:00:00Z", "in UTC with a Z");
	is_int(rfc3339_format(253402300799, text), 0, "the last second of 9999 is written");
	is_int(rfc3339_format(253402300800, text), -EINVAL, "a year of five digits is not");
	is_int(rfc3339_format(-1, text), -EINVAL, "nor a time before 1970");
	return tap_done();
}
