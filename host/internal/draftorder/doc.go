// Package draftorder reads draft orders as applications hand them in, and
// keeps them exact: no quantity or price ever passes through a float, and
// null, absent and empty stay apart.
//
// [Parse] is strict about strangers' bytes. What it accepts becomes canonical
// JSON ([Order.Canonical]): the form that the host stores, hashes to tell
// whether two orders are the same, and later turns into the Port's message
// with [DecodeCanonical].
//
// What an order must be:
//
//   - JSON in UTF-8, at most [MaxSize] bytes and 16 levels deep, no key twice
//     in one object, no field that is not named here.
//   - id: a UUID in its 36-character form, not all zeros. status: "APPROVED".
//     approved_at: an RFC 3339 instant. currency: three upper-case letters.
//     customer: an object with a name. lines: at least one.
//   - A line has line_no (a whole number from 1 to 2147483647, unique in the
//     order), internal_sku, qty and uom.
//   - qty is greater than zero, with at most 18 digits, at most 3 of them
//     decimals. unit_price is zero or more, with at most 18 digits, at most 4
//     of them decimals, or null. Both may be JSON numbers or strings, in plain
//     notation: no exponent, no sign, no superfluous leading zero.
//   - Dates are ISO 8601 days that exist. source_document.sha256 is 64
//     hexadecimal digits.
//   - notes have at most 65,536 characters, a line's description 10,000, every
//     other text 1,000. Control characters are refused, except line breaks and
//     tabs in notes and descriptions. A required text is not blank.
//   - Everything else may be null or absent.
//
// The ids of the customer and of the source document are the application's own
// and are kept as they are.
package draftorder
