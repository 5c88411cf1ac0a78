package store

import (
	"context"
	"strings"
)

// maxPhone is how many digits of a number count; E.164 knows 15.
const maxPhone = 20

// PhoneKey gives the form that phone numbers are compared in: + and the digits
// of one that names its country (+49 (0)30 123, 0049 30 123), else the digits
// without leading zeros. What stands behind a letter, as an extension, does not
// count. "" where there are no digits.
func PhoneKey(typed string) string {
	typed = strings.TrimSpace(typed)
	if scheme, rest, ok := strings.Cut(typed, ":"); ok && strings.EqualFold(scheme, "tel") { // RFC 3966
		typed, _, _ = strings.Cut(rest, ";")
	}
	international := strings.HasPrefix(typed, "+") || strings.HasPrefix(typed, "00")
	if international {
		typed = strings.Replace(typed, "(0)", "", 1)
	}
	digits := phoneDigits(typed)
	if len(digits) > maxPhone {
		digits = digits[:maxPhone]
	}
	if bare := strings.TrimLeft(digits, "0"); !international || bare == "" {
		return bare
	}
	if strings.HasPrefix(typed, "+") {
		return "+" + digits
	}
	return "+" + digits[2:]
}

// phoneDigits gives the digits of a text up to its first letter.
func phoneDigits(typed string) string {
	var b strings.Builder
	for _, r := range typed {
		switch {
		case '0' <= r && r <= '9':
			b.WriteRune(r)
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
			return b.String()
		}
	}
	return b.String()
}

// phoneTail is how many digits at the end are looked up by the index: no number
// without its country is shorter, but for extensions.
const phoneTail = 7

func tailOf(key string) string {
	key = strings.TrimPrefix(key, "+")
	return key[max(0, len(key)-phoneTail):]
}

// samePhone is the condition of numbers that may be the same one as key: where
// only one of the two names its country, that one has to end as the other does.
func samePhone(key string) (string, []any) {
	tail := tailOf(key)
	if len(tail) < phoneTail {
		return `number = ?`, []any{key}
	}
	if national, ok := strings.CutPrefix(key, "+"); ok {
		return `tail = ? AND (number = ? OR number NOT LIKE '+%' AND ? LIKE '%' || number)`, []any{tail, key, national}
	}
	return `tail = ? AND (number = ? OR number LIKE ?)`, []any{tail, key, "+%" + key}
}

// phonePart tells whether a search looks like a part of a phone number, and
// gives its digits.
func phonePart(query string) (string, bool) {
	if strings.Trim(query, "+0123456789 ()/.-") != "" {
		return "", false
	}
	digits := strings.TrimPrefix(PhoneKey(query), "+")
	return digits, len(digits) >= 4
}

// putPhones writes the numbers that a contact is found by.
func (tx *Tx) putPhones(ctx context.Context, c Contact) error {
	if err := tx.queue(ctx, `DELETE FROM contact_phones WHERE contact_id = $1`, c.ID); err != nil {
		return err
	}
	for _, typed := range c.Phones {
		key := PhoneKey(typed)
		if key == "" {
			continue
		}
		err := tx.queue(ctx, `INSERT INTO contact_phones (contact_id, number, tail) VALUES ($1, $2, $3)
			ON CONFLICT (contact_id, number) DO NOTHING`, c.ID, key, tailOf(key))
		if err != nil {
			return err
		}
	}
	return nil
}

// ContactsByPhone gives the contacts that have a phone number, in whatever
// spelling, oldest first; at most 20.
func (tx *Tx) ContactsByPhone(ctx context.Context, phone string) ([]Contact, error) {
	key := PhoneKey(phone)
	if key == "" {
		return nil, nil
	}
	var w where
	condition, args := samePhone(key)
	w.add(`merged_into = ''`)
	w.add(`id IN (SELECT contact_id FROM contact_phones WHERE `+condition+`)`, args...)
	found, err := list(ctx, tx, scanContact, `SELECT `+contactColumns+` FROM contacts`+w.sql()+` ORDER BY id LIMIT 20`, w.args...)
	if err != nil {
		return nil, err
	}
	return found, tx.addEmails(ctx, found)
}
