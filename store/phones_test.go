package store

import "testing"

func TestPhoneKey(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"+49 30 1234567", "+49301234567"},
		{"+49 (0)30 / 123-45.67", "+49301234567"},
		{"0049 30 1234567", "+49301234567"},
		{"tel:+49-30-1234567;ext=9", "+49301234567"},
		{"030 1234567", "301234567"},
		{"(030) 1234567 ext. 12", "301234567"},
		{"123", "123"},
		{"00", ""}, {"+", ""}, {"+0", ""},
		{"", ""},
		{"call me", ""},
		{"٣", ""},
	} {
		if got := PhoneKey(c.typed); got != c.want {
			t.Errorf("%q: %q, want %q", c.typed, got, c.want)
		}
	}
}
