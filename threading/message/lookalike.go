package message

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// mixesScripts tells that a word has letters of Latin and of a script with
// look-alikes.
func mixesScripts(word string) bool {
	latin, alike := false, false
	for _, r := range word {
		latin = latin || unicode.Is(unicode.Latin, r)
		alike = alike || unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee)
	}
	return latin && alike
}

// lookalikes are letters of Cyrillic, Greek, Armenian and Cherokee that are
// drawn like Latin ones or like digits (from the confusables of UTS 39), in
// lower case.
var lookalikes = strings.ToLower("асԁеһіјӏорԛѕԝхуүѵгѡҽꙇ" + "αγικνορσυϲϳ" + "ագզլհյոռսցքօ" +
	"ᎠᎡᎢᎥᎩᎪᎫᎬᎳᎷᎻᎽᏀᏂᏃᏎᏏᏒᏔᏕᏙᏚᏞᏟᏢᏦᏧᏳᏴ")

// domainLooksLatin tells that a domain, its A-labels read as what they show, has
// a label that mixes scripts, or one wholly of look-alikes. The latter is honest
// where the top label is of letters beyond ASCII too: ооо.рф claims no Latin.
func domainLooksLatin(domain string) bool {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	if isPlainLine(domain) && !strings.Contains(domain, acePrefix) {
		return false
	}
	domain, _ = idna.Punycode.ToUnicode(domain) // what can't be decoded stays
	latinTop := isPlainLine(domain[strings.LastIndexByte(domain, '.')+1:])
	for label := range strings.SplitSeq(domain, ".") {
		if mixesScripts(label) || latinTop && isAllLookalikes(label) {
			return true
		}
	}
	return false
}

// acePrefix begins an A-label (RFC 5890, 2.3.2.1).
const acePrefix = "xn--"

// isAllLookalikes tells that a label has letters beyond ASCII, and only such
// that look Latin.
func isAllLookalikes(label string) bool {
	seen := false
	for _, r := range label {
		if r >= 128 {
			seen = true
			if !strings.ContainsRune(lookalikes, r) {
				return false
			}
		}
	}
	return seen
}
