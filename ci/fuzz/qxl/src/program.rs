//! What a program can say.

use crate::wire::{wire_enum, wire_struct};

/// Something the guest placed in memory before: 0 nothing, below 0xc0 the object this many back, above it places that
/// are special ([`crate::objects`]).
pub(crate) type Ref = u8;

/// A rectangle: top, left, bottom, right.
pub(crate) type Area = [i16; 4];

wire_struct! {
    /// The device.
    Config {
        /// Revision - 1 (modulo 5), bit 3: not the VGA device, bit 4: a wide BAR 4, bit 5: little VRAM, bit 6: a BIOS.
        shape: u8,
        /// Heads - 1 (modulo 64).
        heads: u8,
    }
}

wire_struct! {
    /// Other bytes at an offset of a structure: offset + 1 (0 = none), width - 1 (modulo 8) and the value.
    Patch { at: u8, width: u8, value: u64, }
}

wire_struct! { PortWrite { port: u8, value: u8, } }
wire_struct! { Access { offset: u16, data: Vec<u8>, } }
wire_struct! { RawHeader { field: u16, value: u32, } }
wire_struct! {
    RawMemory {
        /// Even: RAM, odd: VRAM. Bit 1: from the end.
        region: u8,
        at: u32,
        data: Vec<u8>,
    }
}
wire_struct! { BarMove { bar: u8, place: u8, } }
wire_struct! {
    Slot {
        /// Bit 0: the asynchronous port. Bits 1 to 3: what the range is relative to.
        how: u8,
        id: u8,
        start: i32,
        size: u32,
    }
}
wire_struct! {
    Primary { how: u8, width: u16, height: u16, stride: i16, format: u8, place: u32, patch: Patch, }
}
wire_struct! { Update { how: u8, surface: u16, area: Area, patch: Patch, } }
wire_struct! { Head { id: u8, surface: u8, area: [u16; 4], } }
wire_struct! { Monitors { count: u8, max: u16, heads: Vec<Head>, patch: Patch, } }
wire_struct! {
    /// A chain of chunks.
    Data {
        /// Bytes of each chunk; 0: one chunk.
        split: u16,
        /// Bit 0: an empty chunk before each, bit 1: the last leads to the first, bit 2: to itself, bit 3: more bytes
        /// than the size says.
        shape: u8,
        size: u16,
        start: Vec<u8>,
    }
}
wire_struct! {
    Image {
        kind: u8,
        flags: u8,
        width: u16,
        height: u16,
        format: u8,
        bitmap_flags: u8,
        /// Bytes beyond what a row needs.
        padding: i16,
        palette: Ref,
        /// Nothing: a chain that fits.
        data: Ref,
        /// Of a surface image: its id. Of a QUIC image: its type.
        surface: u16,
        patch: Patch,
    }
}
wire_struct! { Palette { count: u16, seed: u8, patch: Patch, } }
wire_struct! { Segment { flags: u8, points: Vec<[i16; 2]>, } }
wire_struct! { Path { segments: Vec<Segment>, patch: Patch, } }
wire_struct! { Glyph { position: [i16; 4], width: u8, height: u8, } }
wire_struct! { Text { glyphs: Vec<Glyph>, flags: u8, seed: u8, patch: Patch, } }
wire_struct! { Rects { rects: Vec<Area>, split: u8, patch: Patch, } }
wire_struct! { Words { words: Vec<i32>, } }
wire_struct! {
    Brush { kind: u8, colour: u32, image: Ref, position: [i16; 2], }
}
wire_struct! { Mask { flags: u8, position: [i16; 2], image: Ref, } }
wire_struct! {
    Draw {
        /// Bit 0: the guest rings no doorbell, bit 1: the own content is the source.
        how: u8,
        kind: u8,
        surface: u16,
        bbox: Area,
        clip: Ref,
        /// Other surfaces that are read, + 1.
        reads: u8,
        image: Ref,
        area: Area,
        brush: Brush,
        rop: u16,
        scale: u8,
        mask: Mask,
        /// Path, string, style or transforms; colours.
        extra: [Ref; 4],
        word: u32,
        patch: Patch,
    }
}
wire_struct! {
    Shape { kind: u8, width: u16, height: u16, hot: [u16; 2], unique: u8, split: u16, short: u8, patch: Patch, }
}
wire_struct! { Cursor { how: u8, kind: u8, position: [i16; 2], visible: u8, shape: Ref, patch: Patch, } }
wire_struct! {
    Surface {
        /// Bit 0: no doorbell, bit 1: destroy, bit 2: the memory holds the picture, bit 3: in RAM.
        how: u8,
        id: u16,
        format: u8,
        width: u16,
        height: u16,
        padding: i16,
        place: u32,
        patch: Patch,
    }
}
wire_struct! { UpdateCommand { how: u8, surface: u16, area: Area, id: u8, patch: Patch, } }
wire_struct! { Message { text: Vec<u8>, } }
wire_struct! { Push { how: u8, kind: u8, body: Ref, } }
wire_struct! {
    /// An index or notification index of a ring, as it is or relative to what it was.
    RingIndex { ring: u8, field: u8, value: i16, }
}
wire_struct! { Value { value: u32, } }
wire_struct! { Small { value: u8, } }
wire_struct! { Register { set: u8, index: u8, value: u16, } }
wire_struct! { WindowAccess { offset: u32, data: Vec<u8>, } }
wire_struct! { Fill { at: u32, count: u16, seed: u8, } }
wire_struct! { Dispi { width: u16, height: u16, depth: u8, enable: u8, } }
wire_struct! { Audience { how: u8, capabilities: Vec<u8>, } }
wire_struct! { Wish { heads: Vec<[u16; 4]>, } }
wire_struct! {
    Save {
        /// A byte of the record that is changed for another device, 0 = none.
        at: u16,
        with: u8,
    }
}
wire_struct! { Nothing {} }

wire_enum! {
    /// One operation.
    Op {
        Port(PortWrite),
        PortAccess(Access),
        PortRead(Access),
        Doorbell(Small),
        RawHeader(RawHeader),
        RawMemory(RawMemory),
        Bar(BarMove),
        Slot(Slot),
        Primary(Primary),
        Update(Update),
        Monitors(Monitors),
        Data(Data),
        Image(Image),
        Palette(Palette),
        Path(Path),
        Text(Text),
        Clip(Rects),
        Words(Words),
        Shape(Shape),
        Draw(Draw),
        Cursor(Cursor),
        Surface(Surface),
        UpdateCommand(UpdateCommand),
        Message(Message),
        Push(Push),
        RingIndex(RingIndex),
        Interrupt(Nothing),
        Mask(Value),
        Collect(Nothing),
        VgaWrite(Access),
        VgaRead(Access),
        Register(Register),
        WindowWrite(WindowAccess),
        WindowRead(WindowAccess),
        VgaMode(Small),
        Dispi(Dispi),
        Fill(Fill),
        Refresh(Value),
        Audience(Audience),
        Wish(Wish),
        Pause(Nothing),
        Resume(Nothing),
        MachineReset(Nothing),
        Save(Save),
        BringUp(Small),
        SetMode(Small),
        View(Small),
    }
}
