[000h 0000   4]                    Signature : "XSDT"    [Extended System Description Table]
[004h 0004   4]                 Table Length : 0000003C
[008h 0008   1]                     Revision : 01
[009h 0009   1]                     Checksum : 23
[00Ah 0010   6]                       Oem ID : "CARAWA"
[010h 0016   8]                 Oem Table ID : "CARAWAY "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "RVAT"
[020h 0032   4]        Asl Compiler Revision : 01000000

[024h 0036   8]       ACPI Table Address   0 : 00000000000E0900
[02Ch 0044   8]       ACPI Table Address   1 : 00000000000E0A40
[034h 0052   8]       ACPI Table Address   2 : 00000000000E0AC0

Raw Table Data: Length 60 (0x3C)

    0000: 58 53 44 54 3C 00 00 00 01 23 43 41 52 41 57 41  // XSDT<....#CARAWA
    0010: 43 41 52 41 57 41 59 20 01 00 00 00 52 56 41 54  // CARAWAY ....RVAT
    0020: 00 00 00 01 00 09 0E 00 00 00 00 00 40 0A 0E 00  // ............@...
    0030: 00 00 00 00 C0 0A 0E 00 00 00 00 00              // ............
