package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is what a key was set to: a TOML value, or a variable's text.
type value struct {
	raw     any
	fromEnv bool
}

var errEmpty = errors.New("must not be empty")

// text reads one piece of text.
func (v value) text() (string, error) {
	text, ok := v.raw.(string)
	if !ok {
		return "", fmt.Errorf("must be text in quotes, not %s", describe(v.raw))
	}
	if strings.TrimSpace(text) == "" {
		return "", errEmpty
	}
	return strings.TrimSpace(text), nil
}

// texts reads a list of text, or one text as a list of one. In a variable
// commas stand between the items.
func (v value) texts() ([]string, error) {
	var items []any
	switch raw := v.raw.(type) {
	case []any:
		items = raw
	case string:
		for _, part := range v.split(raw) {
			items = append(items, part)
		}
	default:
		return nil, fmt.Errorf("must be text in quotes or a list of it, not %s", describe(v.raw))
	}
	if len(items) == 0 {
		return nil, errEmpty
	}
	var texts []string
	for _, item := range items {
		text, err := value{raw: item}.text()
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

func (v value) split(text string) []string {
	if !v.fromEnv {
		return []string{text}
	}
	return strings.Split(text, ",")
}

// integer reads a whole number.
func (v value) integer() (int64, error) {
	switch raw := v.raw.(type) {
	case int64:
		return raw, nil
	case string:
		if n, err := strconv.ParseInt(strings.TrimSpace(raw), 10, 64); err == nil && v.fromEnv {
			return n, nil
		}
		return 0, fmt.Errorf("%q is no number", raw)
	}
	return 0, fmt.Errorf("must be a number, not %s", describe(v.raw))
}

// number reads a whole number within bounds.
func (v value) number(into *int, low, high int) error {
	n, err := v.integer()
	if err != nil {
		return err
	}
	if n < int64(low) || n > int64(high) {
		return fmt.Errorf("%d is out of range: %d to %d", n, low, high)
	}
	*into = int(n)
	return nil
}

var sizeForm = regexp.MustCompile(`^([0-9]{1,12}) ?([KMG]i?B?)?$`)

// size reads a number of bytes: a number, or text such as "25 MiB". The units
// are powers of 1024 either way, as they are with mail servers.
func (v value) size(into *int64) error {
	n, ok := v.raw.(int64)
	if text, isText := v.raw.(string); isText {
		m := sizeForm.FindStringSubmatch(strings.TrimSpace(text))
		if m == nil {
			return fmt.Errorf("%q is no size: want bytes, or a number with KiB, MiB or GiB", text)
		}
		n, _ = strconv.ParseInt(m[1], 10, 64)
		if m[2] != "" {
			n <<= 10 * (strings.IndexByte("KMG", m[2][0]) + 1)
		}
	} else if !ok {
		return fmt.Errorf("must be a size in bytes, not %s", describe(v.raw))
	}
	if n < 1024 || n > 2<<30 {
		return fmt.Errorf("%d bytes are out of range: 1 KiB to 2 GiB", n)
	}
	*into = n
	return nil
}

// duration reads a time such as "30s", no shorter than least.
func (v value) duration(into *time.Duration, least time.Duration) error {
	text, err := v.text()
	if err != nil {
		return fmt.Errorf("must be a time with its unit, such as \"30s\": %w", err)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is no time: want a number with its unit, such as 30s, 5m or 72h", text)
	}
	if d < least {
		return fmt.Errorf("%s is too short: at least %s", text, least)
	}
	*into = d
	return nil
}

// oneOf reads one of some words.
func (v value) oneOf(into *string, words ...string) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	if !slices.Contains(words, text) {
		return fmt.Errorf("%q is none of %s", text, strings.Join(words, ", "))
	}
	*into = text
	return nil
}

// path reads the name of a file or folder.
func (v value) path(into *string) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	if strings.ContainsRune(text, 0) {
		return errors.New("is no path")
	}
	*into = text
	return nil
}

// addresses reads where to listen.
func (v value) addresses(into *[]Address) error {
	texts, err := v.texts()
	if err != nil {
		return err
	}
	var all []Address
	for _, text := range texts {
		a, err := ParseAddress(text)
		if err != nil {
			return err
		}
		all = append(all, a)
	}
	*into = all
	return nil
}

// networks reads CIDR prefixes; an address alone is the network of that one.
func (v value) networks(into *[]netip.Prefix) error {
	texts, err := v.texts()
	if err != nil {
		return err
	}
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, single := netip.ParseAddr(text)
			if single != nil {
				return fmt.Errorf("%q is no network: want 192.0.2.0/24 or an address", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		all = append(all, p.Masked())
	}
	*into = all
	return nil
}

var hostnameForm = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// isHostname tells whether a name can stand in a greeting.
func isHostname(name string) bool {
	return len(name) <= 253 && hostnameForm.MatchString(strings.ToLower(name))
}

func (v value) hostname(into *string) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	if !isHostname(text) {
		return fmt.Errorf("%q is no host name", text)
	}
	*into = strings.ToLower(text)
	return nil
}

func (v value) hostnames(into *[]string) error {
	texts, err := v.texts()
	if err != nil {
		return err
	}
	for i := range texts {
		if err := (value{raw: texts[i]}).hostname(&texts[i]); err != nil {
			return err
		}
	}
	*into = texts
	return nil
}

// resolver reads host:port of a DNS server; the port may be left out.
func (v value) resolver(into *string) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	if a, err := netip.ParseAddr(text); err == nil {
		text = netip.AddrPortFrom(a, 53).String()
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || !isPort(port) || port == "0" {
		return fmt.Errorf("%q is no resolver: want host:port", text)
	}
	*into = text
	return nil
}

// publicURL reads the address that links begin with.
func (v value) publicURL(into *string) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is no public address: want https://desk.example.org", text)
	}
	*into = strings.TrimRight(text, "/")
	return nil
}

// none tells that a list is given, and is empty.
func (v value) none() bool {
	list, ok := v.raw.([]any)
	return ok && len(list) == 0
}

// origins reads the origins of connected UIs (RFC 6454, 6.2). There is no
// pattern: each one gets what its agents may see.
func (v value) origins(into *[]string) error {
	if v.none() {
		return nil
	}
	texts, err := v.texts()
	if err != nil {
		return err
	}
	for i, text := range texts {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHostname(u.Hostname()) || text != u.Scheme+"://"+u.Host {
			return fmt.Errorf("%q is no origin: want https://ui.example.org", text)
		}
		texts[i] = strings.ToLower(text)
	}
	*into = texts
	return nil
}

// issuer reads the name of an OpenID provider, letter by letter as it writes
// itself.
func (v value) issuer(into *string) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is no issuer: want https://id.example.org", text)
	}
	*into = text
	return nil
}

// isAddress tells roughly whether text is a mailbox; the desk checks it fully.
func isAddress(text string) bool {
	at := strings.LastIndexByte(text, '@')
	return at > 0 && isHostname(text[at+1:]) && !strings.ContainsAny(text, " \t\r\n<>,;")
}

// describe names the type of a TOML value.
func describe(raw any) string {
	switch raw.(type) {
	case string:
		return "text"
	case int64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
