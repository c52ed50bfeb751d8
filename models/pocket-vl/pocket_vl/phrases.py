"""The same question in other words: every form of a question that the truths ask has others, and all are trained."""

import re

#  a form, with what varies as groups: the others; the forms of one line mean the same
FORMS = (
    (r"What is the price of the (.+)\?", "How much is the {0}?|How much does the {0} cost?|What does the {0} cost?|What is the price of {0}?"),
    (r"How much is the (.+)\?", "How much does the {0} cost?|What does the {0} cost?|What is the price of the {0}?"),
    (r"Is the (.+) sold out\?", "Is {0} sold out?|Can the {0} still be bought?!|Is the {0} available?!"),
    (r"Which product is sold out\?", "What is sold out?|Which item is sold out?|Which of the products cannot be bought?"),
    (r"How many items are in the cart\?", "How many things does the cart hold?|What number stands at the cart?|How many articles are in the cart?"),
    (r"Which category is shown\?", "What category is this?|Which part of the shop is open?|What category of products is shown?"),
    (r"How big is (.+)\?", "How large is {0}?|What is the size of {0}?|What size has {0}?|How many bytes has {0}?"),
    (r"How big is the selected file\?", "How large is the selected file?|What size is the file that is selected?"),
    (r"When was (.+) changed\?", "When was {0} last changed?|When was {0} modified?|What is the date of {0}?"),
    (r"Which file is open\?", "What file is open?|What is the open file called?|Which file is being edited?|What is the name of the file?"),
    (r"Which file is selected\?", "What file is selected?|Which file is marked?|What is selected?"),
    (r"Which folder is open\?", "What folder is shown?|Which directory is this?|What is the path of the folder?|Which folder is listed?"),
    (r"Which document is open\?", "What document is this?|What is the document called?|Which file is open?"),
    (r"Which page is shown\?", "What page is it?|On which page is the document?|Which page is open?"),
    (r"Which section is (?:open|selected)\?", "Which section is shown?|Which page is selected in the sidebar?|What is selected at the left?|Which entry of the sidebar is on?|Which section is selected?"),
    (r"Is \"(.+)\" on\?", 'Is {0} on?|Is {0} turned on?|Is "{0}" enabled?|Is the option "{0}" on?|Is {0} switched on?|Is {0} off?!'),
    (r"Is \"(.+)\" checked\?", 'Is {0} checked?|Is "{0}" ticked?|Is the box "{0}" ticked?|Is {0} ticked?'),
    (r"Is \"(.+)\" done\?", 'Is the task "{0}" done?|Has "{0}" been done?|Is {0} ticked off?|Is "{0}" still open?!'),
    (r"What is the (theme|resolution|language|scale|text size)\?", "Which {0} is set?|What {0} is chosen?|Which {0} is selected?"),
    (r"What is the error message\?", "What does the error say?|What does the error message say?|Which error is shown?|What went wrong?"),
    (r"What is the error code\?", "Which error code is shown?|What number does the error have?|What code does the page show?"),
    (r"Which problem is reported\?", "What does the error say?|What problem is there?|What is wrong in the code?"),
    (r"On which line is the error\?", "Which line has the error?|In what line is the problem?|What line is the error on?"),
    (r"What programming language is the file\?", "What language is it written in?|Which programming language is this?|In which language is the code?"),
    (r"What is in the field (.+)\?", "What is filled in at {0}?|Which {0} is filled in?|What is the {0}?|What does the field {0} hold?|What value has {0}?"),
    (r"Which fields are there\?", "What fields are there?|What can be filled in?|List the fields."),
    (r"Which field has the focus\?", "Where is the cursor?|What has the focus?|In which field is the cursor?"),
    (r"Which field is wrong\?", "Which field has an error?|What field is not valid?|Where is the mistake?"),
    (r"How many attempts are left\?", "How often can it still be tried?|How many tries are left?"),
    (r"Who is the chat with\?", "Who is the conversation with?|With whom is the chat?|Which conversation is open?|Who am I chatting with?"),
    (r"What is the last message\?", "What does the last message say?|What was written last?|Read the last message."),
    (r"Who wrote the last message\?", "Who sent the last message?|From whom is the last message?|Who wrote last?"),
    (r"When was the last message sent\?", "At what time was the last message sent?|When did the last message come?|What time is the last message from?"),
    (r"How many unread messages does (.+) have\?", "How many new messages has {0}?|How many messages of {0} are unread?"),
    (r"How many unread messages are there\?", "How many messages are unread?|How many new messages are there?"),
    (r"Who is the message from\?", "Who sent the message?|Who wrote the mail?|From whom is the message?"),
    (r"What is the subject\?", "What is the message about?|What is the subject of the message?"),
    (r"How long is the (video|song)\?", "What is the length of the {0}?|How long does the {0} take?"),
    (r"What time is the video at\?", "At what time is the video?|How far is the video?|Where is the video?"),
    (r"Is the video playing or paused\?", "Is it playing or paused?|Does the video play?|Is the video running or stopped?"),
    (r"What does the subtitle say\?", "What is the subtitle?|Read the subtitle.|What do the subtitles say?"),
    (r"Who published it\?", "Which channel is it?|Who made the video?|Which channel published it?|From which channel is the video?"),
    (r"Which video comes next\?", "What video is next?|What comes next?"),
    (r"Which month is shown\?", "What month is it?|What month is open?|Which month is this?"),
    (r"What happens on (\w+) (\d+)\?", "What is planned for {0} {1}?|What is on {1} {0}?|What happens on the {1}?|Which event is on {0} {1}?"),
    (r"When is \"(.+)\"\?", "When is {0}?|On what day is {0}?|When does {0} take place?"),
    (r"At what time is \"(.+)\"\?", "What time is {0}?|At what time is {0}?|When does {0} begin?"),
    (r"When is \"(.+)\" due\?", 'When is {0} due?|By when must "{0}" be done?|When should {0} be done?'),
    (r"Which task is overdue\?", "What is overdue?|What is late?|Which of the tasks is late?"),
    (r"How many tasks are (open|done)\?", "How many tasks are {0} in all?|What number of tasks is {0}?|How many of the tasks are {0}?"),
    (r"What does the display show\?", "What value does the display show?|Which number is shown?|What is on the display?|What value is shown?"),
    (r"Which cell is selected\?", "What cell is selected?|In which cell is the cursor?|Which cell is marked?"),
    (r"What is in ([A-Z]\d+)\?", "What is in cell {0}?|What does the cell {0} hold?|Read cell {0}."),
    (r"What is the total\?", "How much is it in all?|What is the sum?|What is the grand total?"),
    (r"Which tab is active\?", "Which tab is open?|What tab is selected?|Which sheet tab is active?"),
    (r"What is the status of (.+)\?", "Which status has {0}?|What state is {0} in?|What is {0}'s status?"),
    (r"What is the value of (.+)\?", "How much is {0}?|What value has {0}?|How high is {0}?|What is {0}?|How many {0} are shown?"),
    (r"Which process uses the most CPU\?", "What process is the busiest?|Which process is at the top?|What uses most of the CPU?"),
    (r"How much memory is used\?", "What is the memory use?|How much memory is in use?|How full is the memory?"),
    (r"How busy is the CPU\?", "What is the CPU load?|How much of the CPU is used?"),
    (r"How many (\w+) are there\?", "How many {0} are shown?|How many {0} can be seen?|Count the {0}."),
    (r"Did the (?:build|last command) (?:fail)\?", "Has the last command failed?|Was there an error in the last command?"),
    (r"Did the build (?:succeed|pass)\?", "Did the compilation succeed?|Was the build successful?|Did it build?|Has the build worked?"),
    (r"What is the last command\?", "Which command was run last?|Which command was run?|What was typed last?|What command is it?"),
    (r"What is the last line of output\?", "What is the newest output?|What was printed last?|What does the last line of output say?"),
    (r"What does the dialog say\?", "What does the message say?|What is the message?|Read the dialog.|What does the window say?"),
    (r"What is the title of the dialog\?", "What is the dialog called?|Which title has the dialog?"),
    (r"Can \"(.+)\" be pressed\?", 'Can I press {0}?|Is the button "{0}" enabled?|Is "{0}" greyed out?!|Can {0} be clicked?'),
    (r"Which button is the default\?", "What happens when I press Enter?|Which button is preselected?"),
    (r"Whose site is it\?", "Whose website is it?|Which site is this?|Whose page is this?"),
    (r"Which address could not be found\?", "What page could not be found?|Which page is missing?|What was looked for?"),
    (r"Which version is shown\?", "What version is it?|Which version is this page for?|What version of the documentation is shown?"),
    (r"What does the (\w+) say\?", "Read the {0}.|What is the {0}?|According to the {0}, what is to be known?"),
    (r"What is the heading\?", "Read the heading.|Which heading is there?|What does the heading say?"),
    (r"Who wrote the article\?", "Who is the author?|Who wrote it?|By whom is the article?"),
    (r"What is the balance\?", "How much money is in the account?|How high is the balance?"),
    (r"How far is it\?", "How many per cent are done?|What is the progress?|How much is done?"),
    (r"What is the (\w+) of \"?(.+?)\"?\?", "Which {0} has {1}?|What {0} has {1}?|What is {1}'s {0}?"),
)
RULES = [(re.compile(form), others.split("|")) for form, others in FORMS]
OPPOSITE = {"Yes.": "No.", "No.": "Yes."}


def rephrased(r, question, answer):
    """The question and answer, mostly in other words; a form that asks the opposite turns yes and no."""
    if r.random() < 0.35:
        return question, answer
    for form, others in RULES:
        m = form.fullmatch(question)
        if m:
            other = others[int(r.random() * len(others))]
            if other.endswith("!"):
                return (other[:-1].format(*m.groups()), OPPOSITE[answer]) if answer in OPPOSITE else (question, answer)
            return other.format(*m.groups()), answer
    return question, answer


def beside(r, boxes, width):
    """Questions on what stands beside or under a string; `boxes`: (text, x, y, w, h, …) of whole strings.

    Only where the string is there once, and nothing else could be meant.
    """
    out = []
    texts = [b[0] for b in boxes]
    for s, x, y, w, h, *_ in r.sample(boxes, min(6, len(boxes))):
        if texts.count(s) > 1 or not 2 <= len(s) <= 36 or '"' in s:
            continue
        row = [b for b in boxes if abs(b[2] + b[4] / 2 - y - h / 2) < h * 0.35 and b[1] >= x + w - 1]
        if row:
            near = min(row, key=lambda b: b[1])
            if near[1] - x - w < width * 0.3 and len(near[0]) < 60:
                ask = ('What is right of "{}"?', 'What stands beside "{}"?', "What is next to {}?", "What does it say at {}?", 'What is to the right of "{}"?')
                out.append((ask[int(r.random() * len(ask))].format(s), near[0]))
        column = [b for b in boxes if abs(b[1] - x) < 4 and 0 < b[2] - y < h * 3]
        if column and r.random() < 0.5:
            near = min(column, key=lambda b: b[2])
            if len(near[0]) < 60:
                ask = ('What is below "{}"?', 'What stands under "{}"?', "What is under {}?")
                out.append((ask[int(r.random() * len(ask))].format(s), near[0]))
    return out
