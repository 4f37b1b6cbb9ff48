import DynamicMessages
import Testing

/// Objects that stand one after another are told apart wherever the text is cut.
@Suite struct JSONSplitterTests {
  private func split(_ text: String, every size: Int) -> (objects: [String], rest: String?) {
    var splitter = JSONSplitter()
    var objects: [String] = []
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: size) {
      splitter.append(Array(bytes[start..<min(start + size, bytes.count)]))
      while let object = splitter.next() { objects.append(String(decoding: object, as: UTF8.self)) }
    }
    return (objects, splitter.rest().map { String(decoding: $0, as: UTF8.self) })
  }

  @Test(arguments: [1, 2, 3, 7, 1000]) func objectsAreToldApart(size: Int) {
    let texts = [#"{}"#, #"{"a":{"b":[{},"}"]}}"#, #"{"c":"\"}{\\"}"#, "{\n  \"d\": 1\n}"]
    for separator in ["", " ", "\n", "\r\n\t "] {
      let (objects, rest) = split(texts.joined(separator: separator) + separator, every: size)
      #expect(objects == texts && rest == nil)
    }
    let (objects, rest) = split(#"{} {"a": ["#, every: size)
    #expect(objects == ["{}"] && rest == #"{"a": ["#)
  }

  @Test func whatIsNoObjectComesAsItIs() {
    #expect(split("nonsense {}", every: 100).objects == ["nonsense {}"])
    #expect(split("", every: 1).rest == nil && split(" \n", every: 1).rest == nil)
  }
}
