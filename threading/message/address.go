package message

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Lengths of an address (RFC 5321, 4.5.3.1), in octets.
const (
	maxLocal  = 64
	maxDomain = 255
)

// Address is one mailbox. The zero value is no address.
type Address struct {
	// Name is the display name, decoded and fit for one line. It is a claim.
	Name string
	// Local is the part before the @, without quotes and escapes, in NFC.
	Local string
	// Domain is the part after the @ as typed, in NFC; "" when there is none.
	Domain string
	// NameHoldsAddress tells that the name shows an address other than this one.
	NameHoldsAddress bool
	// MixedScript tells that a word of the name or a label of the domain mixes
	// scripts that look alike, or that a label is written wholly in letters
	// that look like Latin ones.
	MixedScript bool
}

var (
	errAddressEmpty   = errors.New("address: empty")
	errAddressBytes   = errors.New("address: control characters or broken UTF-8")
	errAddressNoAt    = errors.New("address: no @ with a name before it and a domain after it")
	errAddressLocal   = errors.New("address: bad part before the @")
	errAddressDomain  = errors.New("address: bad domain")
	errAddressTooLong = errors.New("address: longer than 64 octets before or 255 after the @")
)

// ParseAddress reads one single plain mailbox (no name, no brackets), as an API
// or RCPT gives it. It splits at the last @ outside quotes, takes quoted local
// parts and letters of all scripts, and refuses what RFC 5321 has no room for:
// over 64 octets before or 255 after the @, controls, broken UTF-8. Dots that
// stand together or at an end are let through: such mailboxes exist.
func ParseAddress(s string) (Address, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Address{}, errAddressEmpty
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, isHidden) {
		return Address{}, errAddressBytes
	}
	if len(s) > 2*maxLocal+2+maxDomain+1 {
		return Address{}, errAddressTooLong
	}
	local, domain, ok := splitAddress(s)
	if !ok {
		return Address{}, errAddressNoAt
	}
	a := Address{Local: norm.NFC.String(local), Domain: norm.NFC.String(domain)}
	if err := a.check(); err != nil {
		return Address{}, err
	}
	a.mark()
	return a, nil
}

// splitAddress cuts at the last @ outside quotes and takes the quotes off the
// local part. A quoted local part must be quoted as a whole.
func splitAddress(s string) (local, domain string, ok bool) {
	if strings.HasPrefix(s, `"`) {
		end := closingQuote(s, 0)
		if end < 0 || end+1 >= len(s) || s[end+1] != '@' {
			return "", "", false
		}
		return unescape(s[1:end]), s[end+2:], end+2 < len(s)
	}
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return "", "", false
	}
	if local = s[:at]; !isAtom(local) {
		return "", "", false
	}
	return local, s[at+1:], true
}

// closingQuote finds the quote that ends the quoted string beginning at i, or
// -1.
func closingQuote(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// unescape takes the backslashes out of quoted pairs.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

func (a Address) check() error {
	switch {
	case len(a.Local) > maxLocal || len(a.Domain) > maxDomain:
		return errAddressTooLong
	case a.Local == "" || !utf8.ValidString(a.Local) || strings.ContainsFunc(a.Local, isHidden) || strings.ContainsRune(a.Local, utf8.RuneError):
		return errAddressLocal
	case !isDomain(a.Domain):
		return errAddressDomain
	}
	return nil
}

// Valid tells whether a is a complete mailbox that mail could be sent to.
func (a Address) Valid() bool { return a.check() == nil }

// isAtom tells that s needs no quotes as a local part: atext of RFC 5322,
// 3.2.3, and dots, and (RFC 6532) any letter beyond ASCII.
func isAtom(s string) bool {
	for _, r := range s {
		if r < 128 && !isAtext(byte(r)) && r != '.' {
			return false
		}
		if r >= 128 && (unicode.IsSpace(r) || isHidden(r) || r == utf8.RuneError) {
			return false
		}
	}
	return s != ""
}

func isAtext(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// isDomain tells a host name (labels of letters, digits, hyphen, underscore
// and letters beyond ASCII; one final dot) or an address literal.
func isDomain(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	if s[0] == '[' {
		return isLiteral(s)
	}
	s = strings.TrimSuffix(s, ".")
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(label string) bool {
	if label == "" || len(label) > 200 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, r := range label {
		switch {
		case r < 128:
			c := byte(r)
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		case !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != 0xb7 && r != 0x30fb && !isJoiner(r):
			return false
		}
	}
	return true
}

func isLiteral(s string) bool {
	if len(s) < 3 || s[len(s)-1] != ']' {
		return false
	}
	for _, c := range []byte(s[1 : len(s)-1]) {
		if c <= 32 || c > 126 || c == '[' || c == ']' || c == '\\' {
			return false
		}
	}
	return true
}

// String is the address as typed, local@domain in NFC; a local part that needs
// quotes gets them, so that the domain is what follows the last @.
func (a Address) String() string {
	if a.Local == "" && a.Domain == "" {
		return ""
	}
	local := a.Local
	if !isAtom(local) {
		local = quote(local)
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

func quote(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '"'))
}

// Key is the form that addresses are compared by: local part in lower case and
// NFC, domain as lower-case A-labels without a final dot. "" for no address.
func (a Address) Key() string {
	if a.Local == "" || a.Domain == "" {
		return ""
	}
	return Address{Local: fold(a.Local), Domain: DomainKey(a.Domain)}.String()
}

func fold(s string) string { return norm.NFC.String(strings.ToLower(s)) }

// DomainKey is the form that domains are compared by: lower-case A-labels
// without a final dot. A name that IDNA refuses is only made lower case.
func DomainKey(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	if isPlainLine(domain) {
		return strings.ToLower(domain)
	}
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return strings.TrimSuffix(ascii, ".")
	}
	return fold(domain)
}

// mark sets what is to be said about name and domain.
func (a *Address) mark() {
	a.NameHoldsAddress = holdsOtherAddress(a.Name, *a)
	a.MixedScript = domainLooksLatin(a.Domain)
	if !isPlainLine(a.Name) {
		for word := range strings.FieldsSeq(a.Name) {
			a.MixedScript = a.MixedScript || mixesScripts(word)
		}
	}
}

// holdsOtherAddress looks for something@host.tld in name that is not self.
func holdsOtherAddress(name string, self Address) bool {
	if !strings.ContainsAny(name, "@＠﹫") {
		return false
	}
	name = strings.NewReplacer("＠", "@", "﹫", "@").Replace(name)
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`"'<>()[],;:`, r)
	}) {
		at := strings.LastIndexByte(word, '@')
		if at <= 0 || at == len(word)-1 || !isDomain(word[at+1:]) {
			continue
		}
		if (Address{Local: word[:at], Domain: word[at+1:]}).Key() != self.Key() {
			return true
		}
	}
	return false
}
