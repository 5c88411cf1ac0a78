package message

import (
	"strings"
	"unicode/utf8"
)

// maxNameBytes bounds a file name, as file systems do.
const maxNameBytes = 255

// fileName is the name that a part goes by, decoded and safe; "" if it has
// none.
func (p *part) fileName() (name string, ambiguous bool) {
	plain, ext := p.disp.forms("filename")
	if plain == "" && ext == "" {
		plain, ext = p.ctype.forms("name")
	}
	plain = DecodeHeader(plain)
	ambiguous = plain != "" && ext != "" && extension(plain) != extension(ext)
	if ext != "" {
		plain = DecodeHeader(ext)
	}
	return safeName(plain), ambiguous
}

// safeName makes a name that no file system, page or header can be hurt by:
// the last element of a path, without control or direction characters, without
// leading dots, no device of Windows, at most 255 octets.
func safeName(s string) string {
	s = CleanLine(s)
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, s)
	s = strings.TrimRight(strings.TrimLeft(s, ". "), ". ")
	if isDevice(s) {
		s = "_" + s
	}
	return shortName(s)
}

// isDevice tells the names that Windows keeps for devices, whatever their
// extension.
func isDevice(s string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(s), ".")
	switch stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '0' && stem[3] <= '9'
}

// shortName cuts s to its bound and keeps the extension.
func shortName(s string) string {
	if len(s) <= maxNameBytes {
		return s
	}
	ext := extension(s)
	if len(ext) > 20 {
		ext = ""
	}
	return cut(s, maxNameBytes-len(ext)) + ext
}

func extension(s string) string {
	if i := strings.LastIndexByte(s, '.'); i > 0 {
		return strings.ToLower(s[i:])
	}
	return ""
}

// cut shortens s to at most n octets without breaking a letter.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// defaultName is the name of an attachment that brought none.
func defaultName(mediaType string, data []byte) string {
	switch mediaType {
	case "message/rfc822", "message/global":
		h, _ := ParseHeader(data[:min(len(data), 64<<10)])
		if s := safeName(DecodeHeader(h.Get("Subject"))); s != "" {
			return cut(s, maxNameBytes-4) + ".eml"
		}
		return "message.eml"
	case "text/rfc822-headers", "message/rfc822-headers", "message/global-headers":
		return "headers.txt"
	case "message/delivery-status", "message/global-delivery-status":
		return "delivery-status.txt"
	case "message/disposition-notification":
		return "disposition-notification.txt"
	case "message/feedback-report":
		return "feedback-report.txt"
	case "text/calendar", "application/ics":
		return "calendar.ics"
	case "text/vcard", "text/x-vcard", "text/directory":
		return "contact.vcf"
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		return "smime.p7m"
	case "application/pkcs7-signature", "application/x-pkcs7-signature":
		return "smime.p7s"
	case "application/pgp-signature":
		return "signature.asc"
	case "application/pgp-encrypted":
		return "pgp-version.txt"
	case "application/pgp-keys":
		return "key.asc"
	case "application/ms-tnef", "application/vnd.ms-tnef":
		return "winmail.dat"
	}
	return "attachment" + typeExtension(mediaType)
}

// typeExtension is the extension that people know a type by.
func typeExtension(mediaType string) string {
	for _, t := range [...][2]string{
		{"image/jpeg", ".jpg"}, {"image/jpg", ".jpg"}, {"image/png", ".png"}, {"image/gif", ".gif"},
		{"image/webp", ".webp"}, {"image/svg+xml", ".svg"}, {"image/tiff", ".tiff"}, {"image/bmp", ".bmp"},
		{"application/pdf", ".pdf"}, {"application/zip", ".zip"}, {"text/plain", ".txt"}, {"text/html", ".html"},
		{"text/csv", ".csv"}, {"text/xml", ".xml"}, {"application/xml", ".xml"}, {"application/json", ".json"},
		{"audio/mpeg", ".mp3"}, {"audio/wav", ".wav"}, {"video/mp4", ".mp4"}, {"text/markdown", ".md"},
		{"application/rtf", ".rtf"}, {"text/rtf", ".rtf"}, {"text/enriched", ".txt"},
	} {
		if t[0] == mediaType {
			return t[1]
		}
	}
	return ".bin"
}
