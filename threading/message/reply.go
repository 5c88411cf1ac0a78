package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReplyLines bounds the lines that are looked at; what follows is kept.
const maxReplyLines = 20000

// replyText returns what the writer newly wrote: text without the quotes of
// earlier mail, the lines that introduce them, and the signature. When nothing
// would be left, or in doubt, it keeps. Time is linear: each line is looked at
// with at most a handful of those after it.
func replyText(text string) string {
	t := replyTrimmer{lines: splitLines(text)}
	if len(t.lines) > maxReplyLines {
		return strings.TrimSpace(text)
	}
	t.kept = make([]string, 0, len(t.lines))
	t.trim()
	if out := strings.TrimSpace(strings.Join(t.kept, "\n")); out != "" {
		return out
	}
	return strings.TrimSpace(text)
}

// ReplyAbove returns what was newly written above the first line that holds
// mark, without what introduces the quote that mark stands in; it may be empty.
// found tells whether there is such a line. It is exact where ReplyText has to
// guess: for answers to mail that we wrote ourselves.
func ReplyAbove(text, mark string) (reply string, found bool) {
	before, _, found := strings.Cut(text, mark)
	if !found {
		return "", false
	}
	lines := splitLines(before)
	marked := lines[len(lines)-1] // the beginning of the line that holds the mark
	t := replyTrimmer{lines: lines[:len(lines)-1], exact: true}
	t.trim()
	if isQuoted(marked) {
		t.dropIntroduction()
	} else {
		t.dropFields()
	}
	return strings.TrimSpace(strings.Join(t.kept, "\n")), true
}

func splitLines(text string) []string {
	if strings.Contains(text, "\u00a0") {
		text = strings.ReplaceAll(text, "\u00a0", " ")
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if n := len(l); n == 0 || l[n-1] > ' ' && l[n-1] < 0x80 {
			continue
		}
		lines[i] = strings.TrimRight(l, " \t\ufeff\u200b")
		if lines[i] == "--" && strings.HasPrefix(l, "-- ") {
			lines[i] = "-- "
		}
	}
	return lines
}

type replyTrimmer struct {
	lines []string
	kept  []string
	exact bool // what is above is all that was written: nothing else is kept
}

// trim walks down the lines. An introduction whose quote is marked with > is
// dropped with the quote, and what stands below it is kept (an answer between
// the lines); any other introduction ends the reply.
func (t *replyTrimmer) trim() {
	for i := 0; i < len(t.lines); {
		line := t.lines[i]
		if isQuoted(line) || t.wrapped(i) {
			i++
			t.keepGap()
			continue
		}
		if n := t.introduction(i); n > 0 {
			if next := t.nextText(i + n); next < len(t.lines) && isQuoted(t.lines[next]) {
				i = next
				continue
			}
			if t.hasText() {
				break
			}
			i += n
			continue
		}
		if t.original(i) {
			if !t.hasText() && !t.exact { // forwarded without a word: the old mail is what is said
				t.kept = t.lines[i:]
			}
			break
		}
		if t.hasText() && t.lines[i-1] == "" && isDeviceLine(line, devicePhrases[:deviceSure]) {
			break
		}
		if t.hasText() && isSignatureMark(line) && t.signatureEnds(i) {
			i = t.afterSignature(i)
			continue
		}
		t.kept = append(t.kept, line)
		i++
	}
	t.dropDevice()
}

// keepGap leaves one empty line where a quote stood.
func (t *replyTrimmer) keepGap() {
	if n := len(t.kept); n > 0 && t.kept[n-1] != "" {
		t.kept = append(t.kept, "")
	}
}

func (t *replyTrimmer) hasText() bool {
	for _, l := range t.kept {
		if l != "" {
			return true
		}
	}
	return false
}

func (t *replyTrimmer) nextText(i int) int {
	for i < len(t.lines) && strings.TrimSpace(t.lines[i]) == "" {
		i++
	}
	return i
}

func isQuoted(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), ">") }

// wrapped tells the rest of a quoted line that some program broke in two.
func (t *replyTrimmer) wrapped(i int) bool {
	if i == 0 || i+1 >= len(t.lines) || !isQuoted(t.lines[i-1]) || !isQuoted(t.lines[i+1]) || len(t.lines[i-1]) < 60 {
		return false
	}
	r, _ := utf8.DecodeRuneInString(t.lines[i])
	return unicode.IsLower(r)
}

// isSignatureMark tells the line that RFC 3676, 4.3 puts before a signature,
// and what is left of it when blanks are trimmed on the way.
func isSignatureMark(line string) bool {
	switch line {
	case "-- ", "--", "__":
		return true
	}
	return false
}

// signatureEnds tells that what follows the mark at i is short enough to be a
// signature, up to the next quote or introduction or the end.
func (t *replyTrimmer) signatureEnds(i int) bool {
	return t.afterSignature(i)-i <= 40
}

func (t *replyTrimmer) afterSignature(i int) int {
	end := i + 1
	for end < len(t.lines) && end-i <= 41 && !isQuoted(t.lines[end]) && t.introduction(end) == 0 && !t.original(end) {
		end++
	}
	return end
}

// dropDevice drops a last line that a telephone wrote.
func (t *replyTrimmer) dropDevice() {
	last := len(t.kept) - 1
	for last >= 0 && strings.TrimSpace(t.kept[last]) == "" {
		last--
	}
	if last > 0 && isDeviceLine(t.kept[last], devicePhrases[:]) {
		t.kept = t.kept[:last]
	}
}

// dropIntroduction drops a last line that stands by itself and ends in a colon:
// it introduces the quote below, in whatever language.
func (t *replyTrimmer) dropIntroduction() {
	last := len(t.kept) - 1
	for last >= 0 && strings.TrimSpace(t.kept[last]) == "" {
		last--
	}
	if last >= 0 && (last == 0 || t.kept[last-1] == "") && strings.HasSuffix(strings.TrimSpace(t.kept[last]), ":") {
		t.kept = t.kept[:last]
	}
}

// dropFields drops two or more last lines that look like header fields, as mail
// programs put them above an old mail in their users' many languages.
func (t *replyTrimmer) dropFields() {
	last := len(t.kept)
	for last > 0 && strings.TrimSpace(t.kept[last-1]) == "" {
		last--
	}
	first := last
	for first > 0 && looksLikeField(t.kept[first-1]) {
		first--
	}
	if last-first >= 2 {
		t.kept = t.kept[:first]
	}
}

// looksLikeField tells one or two words, a colon, and what it says.
func looksLikeField(line string) bool {
	label, value, ok := strings.Cut(strings.Trim(line, "* "), ":")
	if !ok || strings.TrimSpace(value) == "" || len(label) > 40 || len(strings.Fields(label)) > 2 {
		return false
	}
	return label != "" && !strings.ContainsFunc(label, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != ' ' && r != '-' && r != '*'
	})
}

// isDeviceLine tells "Sent from my telephone".
func isDeviceLine(line string, phrases []string) bool {
	if len(line) > 80 {
		return false
	}
	lower := strings.ToLower(strings.TrimSpace(line))
	for _, p := range phrases {
		if strings.HasPrefix(lower, p) {
			return !strings.HasSuffix(lower, ".") || len(lower) < 40
		}
	}
	return strings.HasPrefix(lower, "von mein") && strings.Contains(lower, "gesendet")
}

// introduction tells how many lines from i on introduce a quote ("On Monday
// Ann wrote:"), or 0. It joins at most four lines.
func (t *replyTrimmer) introduction(i int) int {
	first := strings.TrimSpace(t.lines[i])
	if first == "" || len(first) > 400 {
		return 0
	}
	if datedName(first) {
		return 1
	}
	for n := 0; n < 4 && i+n < len(t.lines); n++ {
		line := strings.TrimSpace(t.lines[i+n])
		if line == "" || len(line) > 400 {
			return 0
		}
		if !mayEndIntroduction(line) {
			continue
		}
		joined := strings.Join(t.lines[i:i+n+1], " ")
		starts := startsIntroduction(first)
		if (starts || n == 0 || n == 1 && hasAddress(first)) && endsIntroduction(joined) &&
			(starts && hasDigit(joined) || hasAddress(joined) || hasDate(joined)) {
			return n + 1
		}
	}
	return 0
}

// mayEndIntroduction is a quick look at the end of a line.
func mayEndIntroduction(line string) bool {
	line = strings.TrimRight(line, " -*_>")
	return strings.HasSuffix(line, ":") || strings.HasSuffix(line, "：") || strings.HasSuffix(line, "wrote")
}

// datedName tells "2013/7/20 Ann <a@b.c>": a date and an address, and nothing
// else on the line.
func datedName(line string) bool {
	if len(line) < 10 || line[0] != '2' || line[4] != line[7] && line[4] != line[6] || line[4] != '-' && line[4] != '/' {
		return false
	}
	if strings.Contains(line, "GMT") {
		return true
	}
	return strings.HasSuffix(line, ">") && hasAddress(line)
}

// startsIntroduction tells the words that introductions begin with.
func startsIntroduction(s string) bool {
	s = strings.TrimLeft(s, "-> *_|")
	word, _, _ := strings.Cut(s, " ")
	switch strings.ToLower(strings.TrimRight(word, ",:")) {
	case "on", "am", "le", "el", "il", "op", "den", "dnia", "em", "w", "na", "dne", "a", "à", "på", "pe", "у", "в", "于", "在",
		"mon", "tue", "wed", "thu", "fri", "sat", "sun", "no", "ma", "pada", "vào", "στις", "ons", "tors", "fre", "lør", "man",
		"maanantai", "ti", "ke", "to", "pe.", "gio", "lun", "mar", "mer", "ven", "sab", "dom":
		return true
	}
	r := []rune(s)
	return len(r) > 0 && (unicode.IsDigit(r[0]) || unicode.Is(unicode.Han, r[0]) || unicode.Is(unicode.Hiragana, r[0]))
}

// endsIntroduction tells that s ends as "... wrote:" does, in many languages.
func endsIntroduction(s string) bool {
	trimmed := strings.TrimRight(s, " -*_")
	colon := strings.TrimRight(trimmed, ":：")
	if colon != trimmed && strings.HasSuffix(colon, ">") && hasDate(s) && hasAddress(s) {
		return true
	}
	if colon == trimmed && trimmed == s {
		return strings.HasSuffix(strings.ToLower(s), " wrote") && hasAddress(s)
	}
	lower := strings.ToLower(strings.TrimRight(colon, " "))
	for _, v := range lastVerbs {
		if strings.HasSuffix(lower, v) {
			return true
		}
	}
	tail := lower[max(0, len(lower)-160):]
	for _, v := range innerVerbs {
		if strings.Contains(tail, v) {
			return colon != trimmed
		}
	}
	return false
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

func hasAddress(s string) bool {
	at := strings.IndexByte(s, '@')
	return at > 0 && at+3 < len(s) && strings.IndexByte(s[at:], '.') > 0
}

// hasDate tells that s has a year or a clock time in it.
func hasDate(s string) bool {
	digits := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= '0' && c <= '9' {
			if digits++; digits == 4 {
				return true
			}
			continue
		}
		if c == ':' && digits > 0 && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' {
			return true
		}
		digits = 0
	}
	return false
}

// original tells that at line i a whole earlier mail begins, as Outlook and
// others put it below: a line that says so, or its header fields.
func (t *replyTrimmer) original(i int) bool {
	line := strings.TrimSpace(t.lines[i])
	if line == "" {
		return false
	}
	if isRule(line) {
		next := t.nextText(i + 1)
		return next < len(t.lines) && next-i <= 3 && t.headerBlock(next)
	}
	if isOriginalLine(line) {
		return true
	}
	return t.headerBlock(i)
}

// isRule tells a line of hyphens or underscores only.
func isRule(line string) bool {
	return len(line) >= 3 && strings.Trim(line, "-_—=*") == ""
}

// isOriginalLine tells "-----Original Message-----" and its like.
func isOriginalLine(line string) bool {
	if len(line) > 100 {
		return false
	}
	inner := strings.Trim(line, "-_*= >")
	if len(line)-len(inner) < 2 || inner == "" || !strings.ContainsAny(line[:1], "-_*=>") {
		return false
	}
	lower := strings.ToLower(strings.TrimSuffix(inner, ":"))
	for _, p := range originalPhrases {
		if strings.HasPrefix(lower, p) {
			return true
		}
	}
	return false
}

// headerBlock tells that a From: line stands at i with at least two of the
// fields that a mail program writes below it, within six lines.
func (t *replyTrimmer) headerBlock(i int) bool {
	if fieldLabel(t.lines[i]) != labelFrom {
		return false
	}
	others := 0
	for n := i + 1; n < len(t.lines) && n <= i+8; n++ {
		if fieldLabel(t.lines[n]) == labelOther {
			others++
		}
	}
	return others >= 2
}
